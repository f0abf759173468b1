/* What a socket load balancer (Cilium's, for one) does on an ancestor cgroup: a service's address becomes a backend's
 * at connect and sendmsg, and back at recvmsg. 203.0.113.200 -> 203.0.113.210, and 203.0.113.253:53 ->
 * 198.51.100.53:53. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SERVICE bpf_htonl(0xcb0071c8)
#define BACKEND bpf_htonl(0xcb0071d2)
#define DNS_SERVICE bpf_htonl(0xcb0071fd)
#define DNS_BACKEND bpf_htonl(0xc6336435)

static __always_inline int to_backend(struct bpf_sock_addr* ctx) {
  if (ctx->user_ip4 == SERVICE) ctx->user_ip4 = BACKEND;
  if (ctx->user_ip4 == DNS_SERVICE) ctx->user_ip4 = DNS_BACKEND;
  return 1;
}

SEC("cgroup/connect4")
int service_connect4(struct bpf_sock_addr* ctx) { return to_backend(ctx); }

SEC("cgroup/sendmsg4")
int service_sendmsg4(struct bpf_sock_addr* ctx) { return to_backend(ctx); }

SEC("cgroup/recvmsg4")
int service_recvmsg4(struct bpf_sock_addr* ctx) {
  if (ctx->user_ip4 == DNS_BACKEND) ctx->user_ip4 = DNS_SERVICE;
  return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
