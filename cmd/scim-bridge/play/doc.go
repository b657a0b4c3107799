// Package play is a provisioning client that plays a short onboarding of people
// and groups against a bridge, as Okta or Microsoft Entra ID send it, and shows
// every request, what arrived upstream, and the roles that people hold there in
// the end.
//
// Its requests are written from what the providers publish (Okta: "SCIM 2.0
// Protocol Reference" and "Understanding SCIM"; Microsoft Entra documentation:
// "Develop and plan provisioning for a SCIM endpoint" and "How application
// provisioning works"), with encoders of its own: sharing types with the
// server would hide a wrong attribute name from both.
package play
