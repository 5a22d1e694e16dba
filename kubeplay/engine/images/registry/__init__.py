"""Registries: OCI distribution (and docker's v2, which it was made from) over HTTP; imported only when a registry is spoken to.

access.py says how a registry may be used; registries.py where an image is looked for; credentials.py who we are there;
client.py sends requests (TLS, proxies, redirects, tokens, retries); repository.py knows the protocol's paths;
source.py and sink.py are the doors for the copier.
"""
