package scim

// GroupCodec is the Codec of Group resources. Members are read without a
// limit of their number, and a PATCH is read as a GroupPatch: what it changes
// of a group that nobody has to hold.
type GroupCodec struct {
	*Codec[Group]
	value, ref, kind, display *attribute
}

// NewGroupCodec is a GroupCodec. The error can only come from a broken build.
func NewGroupCodec() (*GroupCodec, error) {
	c, err := NewCodec[Group]("Group")
	if err != nil {
		return nil, err
	}
	m := c.b.names.findString("members")
	return &GroupCodec{Codec: c, value: m.value, ref: m.ref, kind: m.label, display: m.names.findString("display")}, nil
}

// Without is Codec.Without.
func (c *GroupCodec) Without(ids ...string) *GroupCodec {
	n := *c
	n.Codec = c.Codec.Without(ids...)
	return &n
}

// DecodePatch reads the body of a PATCH (RFC 7644 §3.5.2) and checks all that
// can be checked without the group.
func (c *GroupCodec) DecodePatch(body []byte, d Dialect) (*GroupPatch, error) {
	p, err := c.Codec.DecodePatch(body, d)
	if err != nil {
		return nil, err
	}
	return c.groupPatch(p)
}

// AppendMember appends m as JSON, as an answer shows it under p; nothing when
// nothing of it is shown. A member without a $ref gets refs and its value.
func (c *GroupCodec) AppendMember(dst []byte, m *Member, refs string, p Projection) []byte {
	shown := c.shown
	if p.shown != nil {
		shown = p.shown
	}
	mark := len(dst)
	dst = append(dst, '{')
	if shown[c.value.no] && m.Value != "" {
		dst = appendString(appendKey(dst, c.value.key), m.Value)
	}
	switch {
	case !shown[c.ref.no]:
	case m.Ref != "":
		dst = appendString(appendKey(dst, c.ref.key), m.Ref)
	case m.Value != "":
		dst = appendString(appendKey(dst, c.ref.key), refs)
		end := len(dst) - 1
		dst = appendString(dst[:end], m.Value)
		// Two strings become one without the quotes between them.
		dst = append(dst[:end], dst[end+1:]...)
	}
	if shown[c.kind.no] && m.Type != "" {
		dst = appendString(appendKey(dst, c.kind.key), m.Type)
	}
	if shown[c.display.no] && m.Display != "" {
		dst = appendString(appendKey(dst, c.display.key), m.Display)
	}
	if len(dst) == mark+1 {
		return dst[:mark]
	}
	return append(dst, '}')
}
