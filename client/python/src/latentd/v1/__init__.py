"""Messages and stubs generated from the protos of package latentd.v1."""
