#include "tests/replay/replay_script.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

#include "policy/answer_edit.h"
#include "policy/dns_reply.h"
#include "policy/dns_verdict.h"
#include "policy/host_loader.h"
#include "policy/policy_loader.h"
#include "policy/verdict.h"
#include "policy/wire_bytes.h"
#include "tests/replay/replay_answer.h"
#include "tests/replay/script_words.h"
#include "tests/support/dns_builder.h"
#include "tests/support/nft/table_double.h"

namespace namewall::testing {
namespace {

std::optional<Destination> parse_destination(const Words& words, std::size_t at) {
  if (words.size() != at + 2) return std::nullopt;
  std::string host = words[at + 1];
  if (words[at] == "icmp") return Destination{Protocol::kIcmp, address_of(host), Port{0}};
  if (words[at] != "tcp" && words[at] != "udp") return std::nullopt;
  const std::size_t colon = host.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::optional<std::uint32_t> port = parse_number(std::string_view(host).substr(colon + 1));
  host.resize(colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const Protocol protocol = words[at] == "tcp" ? Protocol::kTcp : Protocol::kUdp;
  if (!port || *port > 65535) return std::nullopt;
  return Destination{protocol, address_of(host), Port{static_cast<std::uint16_t>(*port)}};
}

// What stands in an own reply: "nxdomain 15 TEXT".
std::string describe_reply(const Bytes& reply, std::size_t question_length) {
  constexpr std::size_t kOptAndCode = 17;
  const unsigned rcode = reply[3] & kRcodeMask;
  std::string text = rcode == 0 ? "nodata" : rcode == 3 ? "nxdomain" : rcode == 5 ? "refused" : std::to_string(rcode);
  if (reply.size() < question_length + kOptAndCode) return text;
  text += " " + std::to_string(read_u16(reply, question_length + kOptAndCode - 2)) + " ";
  return text.append(reply.begin() + static_cast<std::ptrdiff_t>(question_length + kOptAndCode), reply.end());
}

std::string join(const Words& words, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < words.size(); ++i) text += (i == from ? "" : " ") + words[i];
  return text;
}

// One workload: a policy, and what it learned.
struct Level {
  std::optional<Policy> policy;
  std::optional<PolicyImage> image;
  std::optional<GrantTable> grants;
  std::optional<TableDouble> table;  // what nft would hold of it; none: a policy that nft cannot hold
  std::string parent;                // "" : none
};

class Replay {
 public:
  // The line's failure, "" when it held.
  std::string run(const Words& words, const std::string& block) {
    if (words[0] == "policy") return replace_policy(block);
    if (words[0] == "host") return replace_host(block);
    if (words[0] == "search") return set_search(words);
    if (words[0] == "own") return set_own(words);
    if (words[0] == "workload") return choose_workload(words);
    if (words[0] == "at" && words.size() >= 3) return run_at(words);
    return "not a line of a replay script";
  }

  std::size_t expectations() const { return expectations_; }

 private:
  std::string replace_policy(const std::string& text) {
    Loaded<Policy> loaded = load_policy(text, Format::kToml, "policy");
    if (!loaded.ok()) return loaded.diagnostics.front().to_string();
    own().policy = std::move(loaded.value);
    return compile(own());
  }

  std::string replace_host(const std::string& text) {
    Loaded<HostPolicy> loaded = load_host_policy(text, Format::kToml, "host");
    if (!loaded.ok()) return loaded.diagnostics.front().to_string();
    host_ = std::move(loaded.value);
    for (auto& [name, level] : workloads_) {
      const std::string failure = level.policy ? compile(level) : "";
      if (!failure.empty()) return failure;
    }
    return "";
  }

  std::string compile(Level& level) {
    Result<PolicyImage> image = compile_policy(*level.policy, host_, system_);
    if (!image) return image.error().what;
    level.image = *std::move(image);
    if (!level.grants) level.grants.emplace(level.image->max_addresses);
    level.grants->rejudge(*level.image);
    level.table.reset();
    if (Result<TableDouble> table = TableDouble::make(*level.image)) level.table = *std::move(table);
    tell_table(level, {});
    return "";
  }

  // Brings the table up to date where the grants are not `before` any more.
  void tell_table(Level& level, const std::vector<Grant>& before) {
    if (!level.table) return;
    const std::vector<Grant> after = level.grants->all();
    std::set<Address> changed;
    for (const auto& [these, those] : {std::pair(&before, &after), std::pair(&after, &before)}) {
      for (const Grant& grant : *these) {
        if (std::find(those->begin(), those->end(), grant) == those->end()) changed.insert(grant.address);
      }
    }
    for (const Address& address : changed) level.table->update(address, level.grants->find(address, now_), now_);
  }

  // nft's verdict of one level is the model's, but where docs/backends.md says how it differs.
  std::string check_table(const Level& level, const Destination& to, const Verdict& verdict) const {
    if (!level.table || level.image->mode == Mode::kAudit) return "";
    const bool allows = level.table->allows(to, LoopbackListener::kNone, now_);
    if (allows == verdict.allowed) return "";
    return std::string("nft would ") + (allows ? "allow" : "refuse") + " it, the model " +
           (verdict.allowed ? "allows" : "refuses") + " it";
  }

  // `workload NAME`, `workload NAME in PARENT`
  std::string choose_workload(const Words& words) {
    const bool is_nested = words.size() == 4 && words[2] == "in";
    if (words.size() != 2 && !is_nested) return "not a workload";
    if (is_nested && !workloads_.contains(words[3])) return "the parent comes first";
    current_ = words[1];
    if (is_nested) own().parent = words[3];
    return "";
  }

  Level& own() { return workloads_[current_]; }

  // Innermost first.
  std::vector<Level*> levels() {
    std::vector<Level*> all = {&own()};
    while (!all.back()->parent.empty()) all.push_back(&workloads_[all.back()->parent]);
    return all;
  }

  bool goes_by_proxy() {
    for (const Level* level : levels()) {
      if (level->image->learn == Learn::kProxy) return true;
    }
    return false;
  }

  std::string set_search(const Words& words) {
    system_.search.clear();
    for (std::size_t i = 1; i < words.size(); ++i) system_.search.push_back(name_of(words[i]));
    return "";
  }

  std::string set_own(const Words& words) {
    own_.clear();
    for (std::size_t i = 1; i < words.size(); ++i) own_.push_back(address_of(words[i]));
    return "";
  }

  std::string run_at(const Words& words) {
    const std::optional<BootTime> time = parse_time(words[1]);
    if (!time || *time < now_) return "the time does not parse or goes back";
    for (const Level* level : levels()) {
      if (!level->image) return "no policy yet";
    }
    now_ = *time;
    for (auto& [name, level] : workloads_) {
      if (level.table) level.table->advance(*level.grants, now_);
    }
    if (words[2] == "question" && words.size() == 4) return check_question(words[3], true);
    if (words[2] == "answer") return learn(words, 3, {});
    if (words[2] == "cached" && words.size() >= 5) {
      const std::optional<std::uint32_t> age = parse_number(words[3]);
      return age ? learn(words, 4, {.age = *age}) : "not an age";
    }
    if (words[2] == "expect" && words.size() >= 5) return expect(words);
    return "not an action";
  }

  std::string expect(const Words& words) {
    const std::string& what = words[3];
    ++expectations_;
    if (what == "allow") return check_verdict(words, 4, true, "none");
    if (what == "refuse") return check_verdict(words, 5, false, words[4]);
    if (what == "audit") return check_verdict(words, 5, true, words[4]);
    if (what == "question" && words[4] == "refused" && words.size() == 6) return check_question(words[5], false);
    if (what == "refusal") return check_refusal(words[4], join(words, 5));
    if (what == "answer" && words.size() >= 7) {
      return learn(words, 6, {.delivered = words[4] == "teaches", .reason = words[5]});
    }
    if (what == "ttl" && words.size() >= 6) return learn(words, 5, {.shown_ttl = words[4]});
    if (what == "params" && words.size() >= 6) return learn(words, 5, {.shown_params = words[4]});
    if (what == "live") {
      const std::size_t live = own().grants->live_count(now_);
      return std::to_string(live) == words[4] ? "" : std::to_string(live) + " grants are live";
    }
    return "not an expectation";
  }

  std::string check_verdict(const Words& words, std::size_t at, bool allowed, const std::string& reason) {
    const std::optional<Destination> destination = parse_destination(words, at);
    if (!destination) return "not a destination";
    Verdict verdict;
    for (const Level* level : levels()) {
      verdict = judge(*level->image, *level->grants, *destination, now_);
      if (std::string differs = check_table(*level, *destination, verdict); !differs.empty()) return differs;
      if (!verdict.allowed) break;
    }
    if (verdict.allowed == allowed && code_of(verdict.reason) == reason) return "";
    return std::string(verdict.allowed ? "allowed, " : "refused, ") + std::string(code_of(verdict.reason)) + ": " +
           verdict.walk.back().stage + ": " + verdict.walk.back().detail;
  }

  // The first level that refuses, else the outermost.
  struct Asked {
    ProxiedQuestion judged;
    const PolicyImage* image = nullptr;
  };
  Asked ask(const Bytes& message) {
    const std::vector<Level*> all = levels();
    for (std::size_t i = 0;; ++i) {
      ProxiedQuestion judged = judge_proxied_question(*all[i]->image, message);
      if (!judged.verdict.may_ask || i + 1 == all.size()) return {std::move(judged), &*all[i]->image};
    }
  }

  std::string check_question(const std::string& name, bool may_ask) {
    const Bytes message = namewall::build_question({.id = 1, .name = name_of(name), .type = kTypeA});
    const QuestionVerdict verdict = ask(message).judged.verdict;
    if (verdict.may_ask == may_ask) return "";
    if (verdict.may_ask) return "the question is allowed";
    return "the question is refused: " + std::string(code_of(verdict.reason));
  }

  std::string check_refusal(const std::string& name, const std::string& expected) {
    const Bytes message = namewall::build_question({.id = 1, .name = name_of(name), .type = kTypeA}, true);
    const Asked asked = ask(message);
    if (asked.judged.verdict.may_ask) return "the question is allowed";
    const auto reply = build_reply(message, refusal_reply(asked.image->refuse_with, asked.judged.text));
    if (!reply) return reply.error().what;
    const std::string found = describe_reply(*reply, message.size() - kOptLength);
    return found == expected ? "" : "the refusal is: " + found;
  }

  struct Expected {
    bool delivered = true;
    std::optional<std::string> reason = {};
    std::uint32_t age = 0;
    std::optional<std::string> shown_ttl = {};     // the smallest TTL that the client sees
    std::optional<std::string> shown_params = {};  // the keys of the HTTPS parameters that it sees, or "none"
  };

  // The answer as the client sees it: by the proxy, edited for every level.
  Result<Bytes> show(const Bytes& message, const ScriptQuestion& asked, std::uint32_t age) {
    if (!goes_by_proxy()) return message;
    AnswerEdit edit{.age = age};
    for (const Level* level : levels()) edit.hold_to(*level->image);
    Bytes shown;
    const Bytes question = namewall::build_question({.id = 7, .name = name_of(asked.name), .type = asked.type});
    if (Result<void> done = edit_answer(message, question, edit, shown); !done) return tl::unexpected(done.error());
    return shown;
  }

  std::string learn(const Words& words, std::size_t at, const Expected& expected) {
    const std::optional<Bytes> message = build_answer(words, at);
    if (!message) return "not an answer";
    const ScriptQuestion asked = *parse_question_word(words[at]);
    const Result<Bytes> shown = show(*message, asked, expected.age);
    if (!shown) return shown.error().what;
    bool is_delivered = true;
    std::string told = "none";
    for (Level* level : levels()) {
      const Teaching teaching =
          (goes_by_proxy() ? judge_proxied_answer : judge_answer)(*level->image, *shown, own_, now_);
      is_delivered = teaching.deliver;
      told = code_of(teaching.reason);
      std::optional<Replacement> replaced;
      if (teaching.replaces_family != 0) replaced = Replacement{name_of(asked.name), teaching.replaces_family};
      const std::vector<Grant> before = level->grants->all();
      const LearnOutcome learned = level->grants->learn(teaching.grants, now_, replaced);
      tell_table(*level, before);
      if (learned == LearnOutcome::kGrantsFull) {
        is_delivered = false;  // what cannot be installed is withheld
        told = code_of(NW_REASON_GRANTS_FULL);
      }
      if (!is_delivered) break;
    }
    const std::string outcome = std::string(is_delivered ? "delivered, " : "withheld, ") + told;
    if (is_delivered != expected.delivered || (expected.reason && told != *expected.reason)) return outcome;
    const std::string ttl = std::to_string(cacheable_seconds(*shown)), keys = param_keys_of(*shown);
    if (expected.shown_ttl && ttl != *expected.shown_ttl) return "the TTL is " + ttl;
    if (expected.shown_params && (keys.empty() ? "none" : keys) != *expected.shown_params)
      return "the keys are " + keys;
    return "";
  }

  std::map<std::string, Level> workloads_;
  std::string current_ = "w";
  HostPolicy host_;
  ResolvConf system_{.nameservers = {{address_of("192.0.2.53"), Port{53}}}, .search = {}, .ndots = 1};
  std::vector<Address> own_;
  BootTime now_;
  std::size_t expectations_ = 0;
};

}  // namespace

ReplayOutcome run_replay_script(const std::string& file_name, const std::string& text) {
  Replay replay;
  ReplayOutcome outcome;
  outcome.failure = run_lines(file_name, text, {"policy", "host"},
                              [&](const Words& words, const std::string& block) { return replay.run(words, block); });
  outcome.expectations = replay.expectations();
  return outcome;
}

}  // namespace namewall::testing
