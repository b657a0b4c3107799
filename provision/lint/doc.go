// Package lint finds what an administrator should correct, in the identity
// provider, in tenant.yaml or by a command: from the requests that provisioning
// clients really send, and from what is stored.
//
// Evidence of traffic is gathered in memory, at next to no cost and without an
// effect on any answer, and merged into the store every ten seconds, so that all
// replicas share one list. A store that fails costs findings, never a request.
// What an administrator corrected disappears when its contrary is seen, or when
// it was not seen for a while. No finding holds personal data: of what a client
// sends only the words of schemas and ids of the bridge's form are kept, and
// keyed pseudonyms.
package lint
