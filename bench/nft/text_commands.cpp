#include "bench/nft/text_commands.h"

#ifdef NAMEWALL_BENCH_LIBNFTABLES
#include <nftables/libnftables.h>
#endif

namespace namewall::bench {

#ifdef NAMEWALL_BENCH_LIBNFTABLES
struct TextCommands::State {
  std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context{nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free};
};

Result<TextCommands> TextCommands::open() {
  auto state = std::make_unique<State>();
  if (!state->context) return fail(ErrorKind::kUnsupported, "libnftables does not open");
  nft_ctx_buffer_error(state->context.get());
  nft_ctx_buffer_output(state->context.get());
  return TextCommands(std::move(state));
}

Result<void> TextCommands::run(const std::string& command) {
  if (nft_run_cmd_from_buffer(state_->context.get(), command.c_str()) == 0) return {};
  return fail(ErrorKind::kInvalid, std::string("libnftables: ") + nft_ctx_get_error_buffer(state_->context.get()));
}
#else
struct TextCommands::State {};

Result<TextCommands> TextCommands::open() {
  return fail(ErrorKind::kUnsupported, "built without libnftables (libnftables-dev)");
}

Result<void> TextCommands::run(const std::string&) { return {}; }
#endif

TextCommands::TextCommands(std::unique_ptr<State> state) : state_(std::move(state)) {}
TextCommands::TextCommands(TextCommands&&) noexcept = default;
TextCommands& TextCommands::operator=(TextCommands&&) noexcept = default;
TextCommands::~TextCommands() = default;

}  // namespace namewall::bench
