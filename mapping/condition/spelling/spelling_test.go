package spelling

import "testing"

func TestClosest(t *testing.T) {
	t.Parallel()
	have := []string{"department", "displayName", "division"}
	for word, want := range map[string]string{
		"departement": "department",
		"DisplayName": "displayName",
		"displayname": "displayName",
		"divison":     "division",
		"shoeSize":    "",
		"":            "",
	} {
		if got := Closest(word, have); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}
