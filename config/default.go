package config

import _ "embed"

// Default is the EndpointPickerConfig that is used without a file.
//
//go:embed default.yaml
var Default []byte
