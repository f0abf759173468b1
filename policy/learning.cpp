#include "policy/learning.h"

#include <algorithm>

namespace namewall {
namespace {

// "" where nothing does.
std::string why_proxy(Backend backend, const DnsSettings& dns, const std::string& crowd) {
  if (backend == Backend::kNft) return "nftables cannot read DNS answers";
  if (dns.retain == Retain::kUntilNextAnswer) {
    return "`retain = \"until-next-answer\"` ends what an answer leaves out, and the kernel adds only";
  }
  if (dns.hints == Hints::kStrip) return "`hints = \"strip\"` changes answers, and the kernel passes them on unchanged";
  if (dns.ech == Ech::kStrip) return "`ech = \"strip\"` changes answers, and the kernel passes them on unchanged";
  return crowd;
}

}  // namespace

Result<void> settle_learning(const Policy& policy, const std::string& crowd, PolicyImage& image) {
  const std::string why = why_proxy(image.backend, policy.dns, crowd);
  image.learn_is_written = policy.dns.learn.has_value();
  if (policy.dns.learn == Learn::kKernel && !why.empty()) {
    return fail(ErrorKind::kInvalid, policy.dns.learn_origin.to_string() + ": `learn = \"kernel\"` cannot be: " + why +
                                         "; leave `learn` out, or write \"proxy\"");
  }
  image.learn = policy.dns.learn.value_or(why.empty() ? Learn::kKernel : Learn::kProxy);
  image.learn_why = image.learn_is_written ? "" : why;
  return {};
}

Result<void> choose_learning(PolicyImage& image, bool kernel_can_learn) {
  if (kernel_can_learn || image.backend == Backend::kNft) return {};
  if (image.retain == Retain::kUntilNextAnswer) {
    return fail(ErrorKind::kUnsupported, "policy " + image.name +
                                             " has `retain = \"until-next-answer\"`, and this kernel's programs cannot "
                                             "end what an answer leaves out (it has no bpf_loop; Linux 5.17 has)");
  }
  if (image.learn == Learn::kProxy) return {};
  const std::string why = "this kernel's programs cannot read DNS answers (it has no bpf_loop)";
  if (image.learn_is_written) {
    return fail(ErrorKind::kUnsupported, "policy " + image.name + " writes `learn = \"kernel\"`, and " + why);
  }
  image.learn = Learn::kProxy;
  image.learn_why = why;
  return {};
}

bool kernel_holds_names(const PolicyImage& image) {
  return std::all_of(image.names.begin(), image.names.end(),
                     [](const NameNode& node) { return node.globs.size() <= kMaxGlobsPerNode; });
}

}  // namespace namewall
