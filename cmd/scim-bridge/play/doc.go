// Package play is a provisioning client that plays a short onboarding against
// a bridge, as Okta or Microsoft Entra ID send it, and shows every request and
// what arrived upstream.
//
// Its requests are written from what the providers publish (Okta: "SCIM 2.0
// Protocol Reference" and "Understanding SCIM"; Microsoft Entra documentation:
// "Develop and plan provisioning for a SCIM endpoint" and "How application
// provisioning works"), with encoders of its own: sharing types with the
// server would hide a wrong attribute name from both.
package play
