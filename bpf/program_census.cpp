#include "bpf/program_census.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "bpf/census_row.h"
#include "census.skel.h"

namespace namewall::bpf {
namespace {

constexpr std::size_t kRowsAtOnce = 256;

tl::unexpected<Error> cannot_count(int error) {
  const bool is_refused = error == EPERM || error == EACCES;
  return fail(is_refused ? ErrorKind::kPermission : ErrorKind::kUnsupported,
              is_refused ? "this process may not count the references of BPF programs"
                         : "this kernel does not tell the references of BPF programs");
}

struct SkeletonDeleter {
  void operator()(census_bpf* skeleton) const { census_bpf::destroy(skeleton); }
};

}  // namespace

Result<ProgramCensus> ProgramCensus::open() {
  const libbpf_print_fn_t printed = libbpf_set_print(nullptr);
  const std::unique_ptr<census_bpf, SkeletonDeleter> skeleton(census_bpf::open());
  const int error = !skeleton ? errno : -census_bpf::load(skeleton.get());
  libbpf_set_print(printed);
  if (error != 0) return cannot_count(error);
  const int program = bpf_program__fd(skeleton->progs.namewall_census);
  FileDescriptor iterator(bpf_link_create(program, 0, BPF_TRACE_ITER, nullptr));
  if (!iterator) return cannot_count(errno);
  return ProgramCensus(std::move(iterator));
}

Result<std::int64_t> ProgramCensus::count(const std::set<std::uint32_t>& program_ids) const {
  const FileDescriptor census(bpf_iter_create(iterator_.get()));
  if (!census) return fail_errno(errno, "cannot count the references of BPF programs");
  std::int64_t references = 0;
  std::array<nw_census_row, kRowsAtOnce> rows;
  for (;;) {
    const ssize_t length = ::read(census.get(), rows.data(), sizeof(rows));
    if (length < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (length < 0) return fail_errno(errno, "cannot count the references of BPF programs");
    if (length == 0) return references;
    for (std::size_t i = 0; i < static_cast<std::size_t>(length) / sizeof(nw_census_row); ++i) {
      if (program_ids.contains(rows[i].program_id)) references += rows[i].references;
    }
  }
}

}  // namespace namewall::bpf
