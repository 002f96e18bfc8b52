package extproc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// certificates hold the server's certificate. One from files is looked at anew
// at every handshake, which is rare: gateways keep their connections.
type certificates struct {
	crt, key string // file names; "" for a self-signed certificate
	log      logr.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	seen   [2]fileState // of crt and key, when loaded
}

// A fileState changes when a file is written or, in a Kubernetes volume, the
// link to it swapped.
type fileState struct {
	modified time.Time
	size     int64
}

// newCertificates reads tls.crt and tls.key in dir, or signs a certificate
// itself when dir is "".
func newCertificates(dir string, log logr.Logger) (*certificates, error) {
	if dir == "" {
		own, err := selfSigned()
		if err != nil {
			return nil, fmt.Errorf("make self-signed certificate: %w", err)
		}
		return &certificates{loaded: own}, nil
	}
	c := &certificates{crt: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), log: log}
	if err := c.reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// get is a tls.Config's GetCertificate. It keeps the last good certificate
// where the files do not make a new one, perhaps half written, and looks again
// next time.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crt != "" {
		if err := c.reload(); err != nil {
			c.log.Error(err, "keeping the TLS certificate loaded before")
		}
	}
	return c.loaded, nil
}

func (c *certificates) reload() error {
	var now [2]fileState
	for i, name := range []string{c.crt, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("load TLS certificate: %w", err)
		}
		now[i] = fileState{modified: info.ModTime(), size: info.Size()}
	}
	if c.loaded != nil && now == c.seen {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.crt, c.key)
	if err != nil {
		return fmt.Errorf("load TLS certificate from %s and %s: %w", c.crt, c.key, err)
	}
	c.loaded, c.seen = &pair, now
	return nil
}

// selfSigned returns a certificate for clients that verify none, as
// InferencePool gateways are.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "semantic-epp"},
		DNSNames:              []string{"semantic-epp", "localhost"},
		NotBefore:             now.Add(-time.Hour), // for clocks that are behind
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
