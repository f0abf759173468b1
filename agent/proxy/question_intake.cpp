#include "agent/proxy/proxy_state.h"
#include "policy/dns_message.h"
#include "policy/dns_verdict.h"

namespace namewall::agent {
namespace {

Share share_of(std::size_t level) { return level == 0 ? Share::kWhole : Share::kHalf; }

}  // namespace

std::string text_of(const AskerLevel& level, Reason reason) {
  return "namewall: " + level.image->name + ": " + std::string(sentence_of(reason));
}

void ProxyCore::State::take_in(const ClientQuestion& question) {
  const std::uint32_t account = ledger.live_account_of(question.asker->front().cgroup_id);
  count(account, &ProxyFigures::questions);
  DnsQuestion read{.id = 0, .name = DomainName::from_normal("")};
  if (!pass_policies(question, account, read) || !pass_bounds(question, read, account)) return;
  const std::uint32_t number = room.keep(question, targets.use(question.target, now), account);
  ledger[account].bytes += room[number].bytes();
  queue.push(number);
}

bool ProxyCore::State::pass_policies(const ClientQuestion& question, std::uint32_t account, DnsQuestion& read) {
  for (std::size_t i = 0; i < question.asker->size(); ++i) {
    const PolicyImage& image = *(*question.asker)[i].image;
    ProxiedQuestion judged =
        i == 0 ? judge_proxied_question(image, question.message) : judge_proxied_question(image, read);
    if (judged.verdict.reason == NW_REASON_QUESTION_MALFORMED) {  // in every mode: a resolver would not take it, either
      count(account, &ProxyFigures::malformed);
      report(question, Hook::kQuestion, {i, judged.verdict.reason});
      if (const auto reply = build_format_error(question.message)) output.reply(question.client, *reply);
      return false;
    }
    if (i == 0) read = std::move(judged.question);
    if (judged.verdict.reason == NW_REASON_NONE) continue;
    report(question, Hook::kQuestion, {i, judged.verdict.reason}, judged.verdict.may_ask);
    if (judged.verdict.may_ask) continue;
    count(account, &ProxyFigures::refused);
    reply_own(question.client, question.message, refusal_reply(image.refuse_with, "namewall: " + judged.text));
    return false;
  }
  return true;
}

bool ProxyCore::State::pass_bounds(const ClientQuestion& question, const DnsQuestion& read, std::uint32_t account) {
  const std::vector<AskerLevel>& levels = *question.asker;
  const std::uint64_t name = hash(std::string_view(read.name.text()));
  const auto wildcard_name = [&](const PolicyImage& image) -> std::optional<std::uint64_t> {
    if (is_listed_name(image, read.name.text())) return std::nullopt;
    return name;
  };
  const std::size_t bytes = sizeof(WaitingQuestion) + question.message.size();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const PolicyImage& image = *levels[i].image;
    const WorkloadAccount& level = ledger[i == 0 ? account : ledger.live_account_of(levels[i].cgroup_id)];
    Reason reason = level.bounds.find_bound(image.bounds, wildcard_name(image), share_of(i), now);
    if (i == 0 && reason == NW_REASON_NONE && level.bytes + bytes > limits.workload_bytes) {
      reason = NW_REASON_QUERIES_IN_FLIGHT;
    }
    if (reason == NW_REASON_NONE) continue;
    // Fresh names are bounded because they can carry data out: a matter of policy. The other bounds protect neighbours.
    const bool audit = reason == NW_REASON_FRESH_NAMES && image.mode == Mode::kAudit;
    report(question, Hook::kQuestion, {i, reason}, audit);
    if (audit) continue;
    count(account, &ProxyFigures::over_bounds);
    reply_own(question.client, question.message, bound_reply(text_of(levels[i], reason)));
    return false;
  }
  for (std::size_t i = 0; i < levels.size(); ++i) {
    WorkloadAccount& level = ledger[i == 0 ? account : ledger.account_of(levels[i].cgroup_id)];
    level.bounds.take(levels[i].image->bounds, wildcard_name(*levels[i].image), now);
  }
  return true;
}

void ProxyCore::State::judge_again(WaitingQuestion& question) {
  Asker current = output.find_asker(question.asker->front().cgroup_id);
  if (current == nullptr) {
    question.is_abandoned = true;
    reply_own(question.client, question.message,
              not_ready_reply(text_of(question.asker->front(), NW_REASON_NOT_ARMED)));
    return;
  }
  for (const AskerLevel& level : *question.asker) ledger[ledger.account_of(level.cgroup_id)].bounds.end_unanswered();
  question.asker = std::move(current);
  for (const AskerLevel& level : *question.asker) {
    ledger[ledger.live_account_of(level.cgroup_id)].bounds.add_unanswered();
  }
  DnsQuestion read{.id = 0, .name = DomainName::from_normal("")};
  if (!pass_policies(as_asked(question, targets), question.account, read)) question.is_abandoned = true;
}

}  // namespace namewall::agent
