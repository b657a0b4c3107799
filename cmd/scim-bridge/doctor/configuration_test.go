package doctor_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
)

// deployment writes settings and their key into a folder of their own.
func deployment(t *testing.T, yaml string) (file string) {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o700))
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstuv"))
	check(t, os.WriteFile(filepath.Join(dir, "bridge.key"), []byte(key+"\n"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "password"), []byte("hunter2\n"), 0o600))
	file = filepath.Join(dir, "server.yaml")
	check(t, os.WriteFile(file, []byte(yaml), 0o600))
	return file
}

const sound = `public_url: https://scim.example.com
secrets: {key_file: bridge.key}
`

func TestConfiguration(t *testing.T) {
	mode := func(name string, m os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { check(t, os.Chmod(filepath.Join(dir, name), m)) }
	}
	for _, tt := range []struct {
		name, yaml string
		change     func(t *testing.T, dir string)
		want       []string
	}{
		{"sound", sound, nil, []string{"ok server.yaml: complete", "notice metrics_listen: is not set"}},
		{"metrics apart", sound + "metrics_listen: 127.0.0.1:9090\n", nil, []string{"ok server.yaml"}},
		{"faults", "lissten: x\n" + sound + "log: {level: loud}\n", nil, []string{
			"error server.yaml: lissten: unknown key", `error server.yaml: log.level: "loud": is unknown`}},
		{"settings that others change", sound, mode("server.yaml", 0o622), []string{"warning server.yaml: others may change it (mode 0622)"}},
		{"a key that the group changes", sound, mode("bridge.key", 0o660), []string{"warning bridge.key: others may change it"}},
		{"a key that others read", sound, mode("bridge.key", 0o604), []string{"error may be read or changed by everybody (mode 0604)"}},
		{"a folder that others change", sound, mode(".", 0o777), []string{
			"warning server.yaml: everybody may put another file in its place", "warning bridge.key: everybody may put another"}},
		{"half the Internet trusted", sound + "trusted_proxies: [10.0.0.0/8, 128.0.0.0/1, 'fc00::/7', '2000::/3']\n", nil, []string{
			"warning trusted_proxies[1]: 128.0.0.0/1", "warning trusted_proxies[3]: 2000::/3"}},
		{"PostgreSQL in the clear", sound + "store: {url: 'postgres://db.example.com/x', password_file: password}\n", nil, []string{"warning store.url sslmode=prefer"}},
		{"PostgreSQL of unknown identity", sound + "store: {url: 'postgres://db.example.com/x?sslmode=require'}\n", nil, []string{"notice store.url sslmode=require"}},
		{"PostgreSQL verified", sound + "store: {url: 'postgres://db.example.com/x?sslmode=verify-full'}\n", nil, nil},
		{"PostgreSQL here", sound + "store: {url: 'postgres://localhost/x'}\n", nil, nil},
		{"Redis in the clear", sound + "redis: {url: 'redis://cache.example.com', password_file: password}\n", nil, []string{"notice redis.url redis://cache.example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := deployment(t, tt.yaml)
			if tt.change != nil {
				tt.change(t, filepath.Dir(file))
			}
			s, err := settings.Load(file, func(string) (string, bool) { return "", false })
			found := look(t, doctor.CheckConfiguration(doctor.ConfigurationOptions{File: file, Settings: s, Err: err}))
			expect(t, found, tt.want...)
			if strings.Contains(lines(found), "hunter2") {
				t.Error("a password is shown")
			}
		})
	}
}

// Without a file the environment is what is wrong.
func TestConfigurationOfTheEnvironment(t *testing.T) {
	_, err := settings.Load("", func(string) (string, bool) { return "", false })
	expect(t, look(t, doctor.CheckConfiguration(doctor.ConfigurationOptions{Err: err})),
		"notice environment: no settings file was named", "error environment: public_url: is required", "error environment: secrets.key_file: is required")
}
