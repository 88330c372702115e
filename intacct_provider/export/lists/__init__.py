"""The rows of lists, compared with what queries of the objects in them count."""
