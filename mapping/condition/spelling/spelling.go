// Package spelling finds the word that a misspelt one was meant to be.
package spelling

import "strings"

// Closest is the one of have that is most like the word, or "" when none is
// like enough to have been meant. Case does not count.
func Closest(word string, have []string) string {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, h := range have {
		if d := distance(strings.ToLower(word), strings.ToLower(h)); d < bestDistance {
			best, bestDistance = h, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
