"""An internet of one's own: network namespaces with real DNS servers and real TCP, UDP and HTTPS servers on made-up
names and documentation addresses. Needs root; leaves nothing behind, also when interrupted."""

from .topology import Internet

__all__ = ["Internet"]
