// One rule, expression by expression, with every attribute that the kernel will list: what it lists in another order,
// in_own_order() makes byte for byte what was sent. Built with libnftnl.
//
// Registers are numbered in words of 32 bits, 0 to 15; a key lies in consecutive ones. A rule loads what it reads:
// newer kernels refuse one that relies on what another rule left.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nft/table_shape.h"

struct nftnl_expr;
struct nftnl_rule;

namespace namewall::nft {

enum class Header { kNetwork, kTransport };
enum class Meta { kMark, kFamily, kProtocol, kInDevice, kOutDevice };  // the device's index; the transport protocol
enum class Comparison { kEqual, kUnequal };
enum class Entering { kAdd, kUpdate };  // an element that is there already: left as it is; its timeout begins anew

class RuleBuilder {
 public:
  RuleBuilder(std::string_view table, std::string_view chain);
  RuleBuilder(RuleBuilder&&) noexcept;
  RuleBuilder& operator=(RuleBuilder&&) noexcept;
  ~RuleBuilder();

  // Each of these ends the rule for a packet that has no such thing: no socket, no cgroup at this level, no header.
  RuleBuilder& load_cgroup(std::uint32_t level, unsigned to);  // 2 words
  RuleBuilder& load(Header header, std::uint32_t offset, std::uint32_t length, unsigned to);
  RuleBuilder& load(Meta key, unsigned to);
  RuleBuilder& load_flow_status(unsigned to);  // enum ip_conntrack_status; switches connection tracking on
  RuleBuilder& load_zero(std::uint32_t length, unsigned to);

  RuleBuilder& require(Comparison comparison, unsigned from, std::span<const std::uint8_t> bytes);
  RuleBuilder& require(Comparison comparison, unsigned from, std::initializer_list<std::uint8_t> bytes);
  // In place: (register & mask) ^ flip.
  RuleBuilder& mask(unsigned at, std::span<const std::uint8_t> mask, std::span<const std::uint8_t> flip = {});
  RuleBuilder& mask(unsigned at, std::initializer_list<std::uint8_t> mask);

  RuleBuilder& require_in(SetId set, unsigned from);
  RuleBuilder& map(SetId set, unsigned from, unsigned to);  // ends the rule where the map has no such key
  // Ends the rule where the set is full, or what its elements carry is used up (a rate).
  RuleBuilder& enter(SetId set, unsigned from, Entering entering, std::chrono::milliseconds timeout = {});
  RuleBuilder& limit(std::uint64_t per_second, std::uint32_t burst);

  RuleBuilder& set_mark(unsigned from);
  // Connection tracking keeps the flow apart from those of other zones, in the direction of its first packet. Before it
  // has seen the packet (priority -300).
  RuleBuilder& set_original_zone(std::uint16_t zone, unsigned through);
  RuleBuilder& log(std::uint16_t group, std::uint32_t snap_length, const std::string& prefix);

  RuleBuilder& accept();
  RuleBuilder& drop();
  RuleBuilder& return_();
  RuleBuilder& jump(const std::string& chain);
  RuleBuilder& go_to(const std::string& chain);
  RuleBuilder& reset_tcp();
  RuleBuilder& reject();                      // admin-prohibited
  RuleBuilder& redirect(unsigned port_from);  // of a nat chain

  RuleBuilder& note(std::string_view text);  // nft(8) shows it behind the rule; at most 120 bytes

  const std::string& chain() const { return chain_; }
  const nftnl_rule& rule() const { return *rule_; }
  // The content of NFTA_RULE_EXPRESSIONS.
  std::vector<std::uint8_t> expressions() const;

 private:
  struct Free {
    void operator()(nftnl_rule* rule) const;
  };
  nftnl_expr* add(const char* name);
  RuleBuilder& verdict(std::uint32_t code, const std::string& chain = {});

  std::string chain_;
  std::unique_ptr<nftnl_rule, Free> rule_;
};

// What the kernel lists as NFTA_RULE_EXPRESSIONS, in the order and with the flags that libnftnl gives it. Empty: there
// is an expression that it does not know.
std::vector<std::uint8_t> in_own_order(std::span<const std::uint8_t> expressions);

}  // namespace namewall::nft
