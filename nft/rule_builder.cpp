#include "nft/rule_builder.h"

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cassert>

#include "nft/attribute.h"

namespace namewall::nft {
namespace {

constexpr std::array<std::uint8_t, 16> kZeros{};

// The kernel lists the first word of each group of four as the register of 128 bits that begins there.
std::uint32_t to_register(unsigned word) {
  assert(word < 16);
  return word % 4 == 0 ? NFT_REG_1 + word / 4 : NFT_REG32_00 + word;
}

std::uint32_t to_number(Meta key) {
  switch (key) {
    case Meta::kMark:
      return NFT_META_MARK;
    case Meta::kFamily:
      return NFT_META_NFPROTO;
    case Meta::kProtocol:
      return NFT_META_L4PROTO;
    case Meta::kInDevice:
      return NFT_META_IIF;
    case Meta::kOutDevice:
      return NFT_META_OIF;
  }
  return 0;
}

std::span<const std::uint8_t> as_span(std::initializer_list<std::uint8_t> bytes) {
  return {bytes.begin(), bytes.size()};
}

std::vector<std::uint8_t> expressions_of(const nftnl_rule& rule) {
  std::vector<char> buffer(65536);
  auto* message = mnl_nlmsg_put_header(buffer.data());
  mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg));
  // libnftnl only reads it.
  nftnl_rule_nlmsg_build_payload(message, const_cast<nftnl_rule*>(&rule));
  const auto found = attributes_of(*message).find(NFTA_RULE_EXPRESSIONS);
  if (!found) return {};
  return {found->payload.begin(), found->payload.end()};
}

// Of what the kernel lists though it was not said.
int write_out_defaults(nftnl_expr* expression, void*) {
  if (nftnl_expr_get_str(expression, NFTNL_EXPR_NAME) != std::string_view("dynset")) return 0;
  if (!nftnl_expr_is_set(expression, NFTNL_EXPR_DYNSET_TIMEOUT))
    nftnl_expr_set_u64(expression, NFTNL_EXPR_DYNSET_TIMEOUT, 0);
  if (!nftnl_expr_is_set(expression, NFTNL_EXPR_DYNSET_FLAGS))
    nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_FLAGS, 0);
  return 0;
}

}  // namespace

void RuleBuilder::Free::operator()(nftnl_rule* rule) const { nftnl_rule_free(rule); }

RuleBuilder::RuleBuilder(std::string_view table, std::string_view chain) : chain_(chain), rule_(nftnl_rule_alloc()) {
  assert(rule_);
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, std::string(table).c_str());
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain_.c_str());
}
RuleBuilder::RuleBuilder(RuleBuilder&&) noexcept = default;
RuleBuilder& RuleBuilder::operator=(RuleBuilder&&) noexcept = default;
RuleBuilder::~RuleBuilder() = default;

nftnl_expr* RuleBuilder::add(const char* name) {
  auto* expression = nftnl_expr_alloc(name);
  assert(expression != nullptr);
  nftnl_rule_add_expr(rule_.get(), expression);
  return expression;
}

RuleBuilder& RuleBuilder::load_cgroup(std::uint32_t level, unsigned to) {
  auto* expression = add("socket");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_CGROUPV2);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_DREG, to_register(to));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_LEVEL, level);
  return *this;
}

RuleBuilder& RuleBuilder::load(Header header, std::uint32_t offset, std::uint32_t length, unsigned to) {
  auto* expression = add("payload");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, to_register(to));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE,
                     header == Header::kNetwork ? NFT_PAYLOAD_NETWORK_HEADER : NFT_PAYLOAD_TRANSPORT_HEADER);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, length);
  return *this;
}

RuleBuilder& RuleBuilder::load(Meta key, unsigned to) {
  auto* expression = add("meta");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, to_number(key));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, to_register(to));
  return *this;
}

RuleBuilder& RuleBuilder::load_flow_status(unsigned to) {
  auto* expression = add("ct");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, NFT_CT_STATUS);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, to_register(to));
  return *this;
}

RuleBuilder& RuleBuilder::set_original_zone(std::uint16_t zone, unsigned through) {
  auto* immediate = add("immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, to_register(through));
  nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, &zone, sizeof(zone));
  auto* expression = add("ct");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, NFT_CT_ZONE);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_SREG, to_register(through));
  nftnl_expr_set_u8(expression, NFTNL_EXPR_CT_DIR, 0);  // IP_CT_DIR_ORIGINAL
  return *this;
}

RuleBuilder& RuleBuilder::load_zero(std::uint32_t length, unsigned to) {
  auto* expression = add("immediate");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, to_register(to));
  nftnl_expr_set(expression, NFTNL_EXPR_IMM_DATA, kZeros.data(), length);
  return *this;
}

RuleBuilder& RuleBuilder::require(Comparison comparison, unsigned from, std::span<const std::uint8_t> bytes) {
  auto* expression = add("cmp");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, to_register(from));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, comparison == Comparison::kEqual ? NFT_CMP_EQ : NFT_CMP_NEQ);
  nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  return *this;
}

RuleBuilder& RuleBuilder::require(Comparison comparison, unsigned from, std::initializer_list<std::uint8_t> bytes) {
  return require(comparison, from, as_span(bytes));
}

RuleBuilder& RuleBuilder::mask(unsigned at, std::span<const std::uint8_t> mask, std::span<const std::uint8_t> flip) {
  const auto size = static_cast<std::uint32_t>(mask.size());
  assert(size <= kZeros.size() && (flip.empty() || flip.size() == size));
  auto* expression = add("bitwise");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, to_register(at));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, to_register(at));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, mask.data(), size);
  nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, flip.empty() ? kZeros.data() : flip.data(), size);
  return *this;
}

RuleBuilder& RuleBuilder::mask(unsigned at, std::initializer_list<std::uint8_t> bits) {
  return mask(at, as_span(bits));
}

RuleBuilder& RuleBuilder::require_in(SetId set, unsigned from) {
  auto* expression = add("lookup");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, to_register(from));
  nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, std::string(shape_of(set).name).c_str());
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, 0);
  return *this;
}

RuleBuilder& RuleBuilder::map(SetId set, unsigned from, unsigned to) {
  assert(!shape_of(set).data.empty());
  require_in(set, from);
  nftnl_expr* last = nullptr;
  nftnl_expr_foreach(
      rule_.get(),
      [](nftnl_expr* each, void* data) {
        *static_cast<nftnl_expr**>(data) = each;
        return 0;
      },
      &last);
  nftnl_expr_set_u32(last, NFTNL_EXPR_LOOKUP_DREG, to_register(to));
  return *this;
}

RuleBuilder& RuleBuilder::enter(SetId set, unsigned from, Entering entering, std::chrono::milliseconds timeout) {
  assert(shape_of(set).is_dynamic && (timeout.count() == 0 || shape_of(set).has_timeouts));
  auto* expression = add("dynset");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_SREG_KEY, to_register(from));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_OP,
                     entering == Entering::kAdd ? NFT_DYNSET_OP_ADD : NFT_DYNSET_OP_UPDATE);
  nftnl_expr_set_str(expression, NFTNL_EXPR_DYNSET_SET_NAME, std::string(shape_of(set).name).c_str());
  if (timeout.count() != 0)
    nftnl_expr_set_u64(expression, NFTNL_EXPR_DYNSET_TIMEOUT, static_cast<std::uint64_t>(timeout.count()));
  return *this;
}

RuleBuilder& RuleBuilder::limit(std::uint64_t per_second, std::uint32_t burst) {
  auto* expression = add("limit");
  nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_RATE, per_second);
  nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_UNIT, 1);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_BURST, burst);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_FLAGS, 0);
  return *this;
}

RuleBuilder& RuleBuilder::set_mark(unsigned from) {
  auto* expression = add("meta");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_SREG, to_register(from));
  return *this;
}

RuleBuilder& RuleBuilder::log(std::uint16_t group, std::uint32_t snap_length, const std::string& prefix) {
  auto* expression = add("log");
  nftnl_expr_set_str(expression, NFTNL_EXPR_LOG_PREFIX, prefix.c_str());
  nftnl_expr_set_u16(expression, NFTNL_EXPR_LOG_GROUP, group);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOG_SNAPLEN, snap_length);
  return *this;
}

RuleBuilder& RuleBuilder::verdict(std::uint32_t code, const std::string& chain) {
  auto* expression = add("immediate");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, code);
  if (!chain.empty()) nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  return *this;
}

RuleBuilder& RuleBuilder::accept() { return verdict(NF_ACCEPT); }
RuleBuilder& RuleBuilder::drop() { return verdict(NF_DROP); }
RuleBuilder& RuleBuilder::return_() { return verdict(static_cast<std::uint32_t>(NFT_RETURN)); }
RuleBuilder& RuleBuilder::jump(const std::string& to) { return verdict(static_cast<std::uint32_t>(NFT_JUMP), to); }
RuleBuilder& RuleBuilder::go_to(const std::string& to) { return verdict(static_cast<std::uint32_t>(NFT_GOTO), to); }

RuleBuilder& RuleBuilder::reset_tcp() {
  auto* expression = add("reject");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
  return *this;
}

RuleBuilder& RuleBuilder::reject() {
  auto* expression = add("reject");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
  nftnl_expr_set_u8(expression, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
  return *this;
}

RuleBuilder& RuleBuilder::redirect(unsigned port_from) {
  auto* expression = add("redir");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REDIR_REG_PROTO_MIN, to_register(port_from));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REDIR_REG_PROTO_MAX, to_register(port_from));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REDIR_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED);
  return *this;
}

RuleBuilder& RuleBuilder::note(std::string_view text) {
  // One TLV of nft(8), NFTNL_UDATA_RULE_COMMENT: type, length, text, NUL.
  std::string udata{'\0', static_cast<char>(text.size() + 1)};
  udata += text;
  udata += '\0';
  nftnl_rule_set_data(rule_.get(), NFTNL_RULE_USERDATA, udata.data(), static_cast<std::uint32_t>(udata.size()));
  return *this;
}

std::vector<std::uint8_t> RuleBuilder::expressions() const { return in_own_order(expressions_of(*rule_)); }

std::vector<std::uint8_t> in_own_order(std::span<const std::uint8_t> expressions) {
  std::vector<char> buffer(MNL_NLMSG_HDRLEN + 64 + expressions.size());
  auto* message = mnl_nlmsg_put_header(buffer.data());
  mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg));
  mnl_attr_put(message, NLA_F_NESTED | NFTA_RULE_EXPRESSIONS, expressions.size(), expressions.data());
  const std::unique_ptr<nftnl_rule, void (*)(nftnl_rule*)> rule(nftnl_rule_alloc(),
                                                                [](nftnl_rule* one) { nftnl_rule_free(one); });
  if (!rule || nftnl_rule_nlmsg_parse(message, rule.get()) < 0) return {};
  nftnl_expr_foreach(rule.get(), write_out_defaults, nullptr);
  return expressions_of(*rule);
}

}  // namespace namewall::nft
