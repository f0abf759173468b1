"""A certificate authority of the moment, and one server certificate for all made-up names."""

import os

from .namespaces import run


def make_certificates(directory, names):
    """Writes ca.pem, server.pem and server.key into `directory` and returns their paths."""
    ca, ca_key, certificate, key, request, extensions = (
        os.path.join(directory, name)
        for name in ("ca.pem", "ca.key", "server.pem", "server.key", "server.csr", "server.ext")
    )
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("openssl", "req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=made-up CA")
    run("openssl", "req", *new_key, "-keyout", key, "-out", request, "-subj", "/CN=made-up server")
    with open(extensions, "w") as text:
        text.write("subjectAltName=" + ",".join(f"DNS:{name}" for name in sorted(names)) + "\n")
    run(
        "openssl",
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        ca,
        "-CAkey",
        ca_key,
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        extensions,
        "-out",
        certificate,
    )
    return ca, certificate, key
