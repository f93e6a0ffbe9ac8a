"""Sign-in with an OpenID Connect provider: the authorization code flow with PKCE, and who may come in by it."""
