#include "tests/replay/replay_script.h"

#include <optional>
#include <sstream>
#include <vector>

#include "policy/dns_verdict.h"
#include "policy/host_loader.h"
#include "policy/policy_loader.h"
#include "policy/verdict.h"
#include "tests/replay/script_words.h"
#include "tests/support/dns_builder.h"

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

bool add_record(AnswerBuilder& answer, const Words& record) {
  const std::optional<std::uint32_t> ttl = record.size() == 4 ? parse_number(record[2]) : std::nullopt;
  if (!ttl) return false;
  const std::string &owner = record[0], &type = record[1], &data = record[3];
  if (type == "A") {
    answer.a(owner, *ttl, data);
  } else if (type == "AAAA") {
    answer.aaaa(owner, *ttl, data);
  } else if (type == "CNAME") {
    answer.cname(owner, *ttl, data);
  } else {
    return false;
  }
  return true;
}

// The message that `NAME RECORD, ...` from `at` on describes.
std::optional<Bytes> build_answer(const Words& words, std::size_t at) {
  if (at >= words.size()) return std::nullopt;
  const std::string& name = words[at];
  AnswerBuilder answer(name);
  Words record;
  for (std::size_t i = at + 1; i < words.size(); ++i) {
    record.push_back(words[i]);
    const bool has_comma = record.back().ends_with(',');
    if (!has_comma && i + 1 < words.size()) continue;
    if (has_comma) record.back().pop_back();
    if (record.size() == 3) record.insert(record.begin(), name);
    if (!add_record(answer, record)) return std::nullopt;
    record.clear();
  }
  return answer.build();
}

class Replay {
 public:
  // The line's failure, "" when it held.
  std::string run(const Words& words, const std::string& block) {
    if (words[0] == "policy") return replace_policy(block);
    if (words[0] == "host") return replace_host(block);
    if (words[0] == "search") return set_search(words);
    if (words[0] == "own") return set_own(words);
    if (words[0] == "at" && words.size() >= 3) return run_at(words);
    return "not a line of a replay script";
  }

  std::size_t expectations() const { return expectations_; }

 private:
  std::string replace_policy(const std::string& text) {
    Loaded<Policy> loaded = load_policy(text, Format::kToml, "policy");
    if (!loaded.ok()) return loaded.diagnostics.front().to_string();
    policy_ = std::move(loaded.value);
    return compile();
  }

  std::string replace_host(const std::string& text) {
    Loaded<HostPolicy> loaded = load_host_policy(text, Format::kToml, "host");
    if (!loaded.ok()) return loaded.diagnostics.front().to_string();
    host_ = std::move(loaded.value);
    return policy_ ? compile() : "";
  }

  std::string compile() {
    Result<PolicyImage> image = compile_policy(*policy_, host_, system_);
    if (!image) return image.error().what;
    image_ = *std::move(image);
    if (!grants_) grants_.emplace(image_->max_addresses);
    grants_->rejudge(*image_);
    return "";
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
    if (!image_) return "no policy yet";
    now_ = *time;
    if (words[2] == "question" && words.size() == 4) return check_question(words[3], true);
    if (words[2] == "answer") return learn(words, 3, true, std::nullopt);
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
    if (what == "answer" && words.size() >= 7) return learn(words, 6, words[4] == "teaches", words[5]);
    if (what == "live") {
      const std::size_t live = grants_->live_count(now_);
      return std::to_string(live) == words[4] ? "" : std::to_string(live) + " grants are live";
    }
    return "not an expectation";
  }

  std::string check_verdict(const Words& words, std::size_t at, bool allowed, const std::string& reason) {
    const std::optional<Destination> destination = parse_destination(words, at);
    if (!destination) return "not a destination";
    const Verdict verdict = judge(*image_, *grants_, *destination, now_);
    if (verdict.allowed == allowed && code_of(verdict.reason) == reason) return "";
    return std::string(verdict.allowed ? "allowed, " : "refused, ") + std::string(code_of(verdict.reason)) + ": " +
           verdict.walk.back().stage + ": " + verdict.walk.back().detail;
  }

  std::string check_question(const std::string& name, bool may_ask) {
    const Bytes message = build_question({.id = 1, .name = name_of(name), .type = kTypeA});
    const QuestionVerdict verdict = judge_question(*image_, message);
    if (verdict.may_ask == may_ask) return "";
    if (verdict.may_ask) return "the question is allowed";
    return "the question is refused: " + std::string(code_of(verdict.reason));
  }

  std::string learn(const Words& words, std::size_t at, bool delivered, const std::optional<std::string>& reason) {
    const std::optional<Bytes> message = build_answer(words, at);
    if (!message) return "not an answer";
    const Teaching teaching = judge_answer(*image_, *message, own_, now_);
    bool is_delivered = teaching.deliver;
    std::string told(code_of(teaching.reason));
    if (grants_->learn(teaching.grants, now_) == LearnOutcome::kGrantsFull) {
      is_delivered = false;  // what cannot be installed is withheld
      told = code_of(NW_REASON_GRANTS_FULL);
    }
    if (is_delivered == delivered && (!reason || told == *reason)) return "";
    return std::string(is_delivered ? "delivered, " : "withheld, ") + told;
  }

  std::optional<Policy> policy_;
  HostPolicy host_;
  ResolvConf system_{.nameservers = {{address_of("192.0.2.53"), Port{53}}}, .search = {}, .ndots = 1};
  std::optional<PolicyImage> image_;
  std::optional<GrantTable> grants_;
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
