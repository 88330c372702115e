"""The OpenAPI document of everything that the sandbox answers."""
