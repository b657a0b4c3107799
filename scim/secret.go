package scim

import "log/slog"

// Secret is a string that prints as "[redacted]" wherever it is formatted,
// marshalled or logged. Convert it with string(s) where the value itself is
// needed.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
