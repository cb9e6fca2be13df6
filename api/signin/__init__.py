"""Who comes in, and how: keys, access tokens, sign-in at an identity provider, sessions, client certificates, limits on guessing.

Nothing here decides about data; which role may do what is `policies.roles`, and `api.auth` holds each endpoint to it.
"""
