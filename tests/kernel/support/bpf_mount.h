// A BPF file system of the test's own, in a mount namespace of its own: gone with the process.
#pragma once

#include <string>

namespace namewall::kernel_tests {

// The mount point; the same one in every call of a process.
const std::string& private_bpf_mount();

}  // namespace namewall::kernel_tests
