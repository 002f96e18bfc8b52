package config

// Languages are the ISO 639-1 codes of the languages that prompts are told
// apart by.
func Languages() []string {
	return []string{
		"ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja",
		"ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "ta", "th", "tr", "uk", "vi", "zh",
	}
}
