"""The OpenAPI document of every response of the sandbox."""
