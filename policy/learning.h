// Which way a policy learns from DNS answers: the kernel, where nothing stands against it, else the proxy. TCP and
// truncated answers go by the proxy either way.
#pragma once

#include <string>

#include "policy/policy_image.h"

namespace namewall {

// Fills the image's `learn`, `learn_is_written` and `learn_why`; its `backend` is known. The proxy, where nftables
// enforces, or where the policy writes so or has:
//   more globs on a node than the kernel holds (`crowd`, NameFold::describe_crowd; "" if not)
//   retain = "until-next-answer": the kernel adds what an answer has, it does not look for what it leaves out
//   hints = "strip" or ech = "strip": the kernel passes answers on as they are
// kInvalid: learn = "kernel" is written beside one of these.
Result<void> settle_learning(const Policy& policy, const std::string& crowd, PolicyImage& image);

// On a kernel whose programs cannot read answers (no bpf_loop, found by probing) an image of BPF's kernel path becomes
// one of the proxy. kUnsupported: its policy writes learn = "kernel", or has retain = "until-next-answer". To be called
// before the image is armed or hashed.
Result<void> choose_learning(PolicyImage& image, bool kernel_can_learn);

// False: some node has more globs than the kernel holds. The kernel is then given no names at all: a name that is
// judged there again (after a replacement) is closed until its next lookup, which the proxy judges by all patterns.
bool kernel_holds_names(const PolicyImage& image);

}  // namespace namewall
