#include "agent/host/proof_answer.h"

#include <gtest/gtest.h>

#include "policy/dns_reply.h"

namespace namewall::agent {
namespace {

const std::string kName = "probe-aaaaaaaaaaaa.namewall.invalid";

std::vector<std::uint8_t> reply_to(const std::vector<std::uint8_t>& question, const OwnReply& reply) {
  const auto built = build_reply(question, reply);
  if (!built) ADD_FAILURE() << built.error().message();
  return built ? *built : std::vector<std::uint8_t>{};
}

TEST(ProofAnswer, EveryWayToRefuseIsOne) {
  const auto question = build_proof_question(kName);
  for (const RefuseWith way : {RefuseWith::kNxdomain, RefuseWith::kRefused, RefuseWith::kNodata}) {
    EXPECT_TRUE(is_own_refusal(question, reply_to(question, refusal_reply(way, "builder: no rule names it"))));
  }
}

TEST(ProofAnswer, WhatAResolverSaysIsNone) {
  const auto question = build_proof_question(kName);
  auto nxdomain = reply_to(question, {3, std::nullopt, "", false});
  EXPECT_FALSE(is_own_refusal(question, nxdomain)) << "NXDOMAIN without our error";
  auto with_soa = reply_to(question, refusal_reply(RefuseWith::kNxdomain, "text"));
  with_soa[9] = 1;
  EXPECT_FALSE(is_own_refusal(question, with_soa)) << "a record of authority";
  EXPECT_FALSE(is_own_refusal(question, reply_to(question, no_answer_reply("nobody answers"))));
  EXPECT_FALSE(is_own_refusal(question, reply_to(question, not_ready_reply("later"))));
}

TEST(ProofAnswer, AnotherQuestionsAnswerIsNone) {
  const auto question = build_proof_question(kName);
  auto answer = reply_to(question, refusal_reply(RefuseWith::kNxdomain, "text"));
  for (const std::size_t at : {std::size_t{0}, std::size_t{2}, std::size_t{14}}) {
    auto changed = answer;
    changed[at] ^= 0xff;
    EXPECT_FALSE(is_own_refusal(question, changed)) << at;
  }
  for (std::size_t length = 0; length < question.size() + 6; ++length) {
    EXPECT_FALSE(is_own_refusal(question, std::span(answer).first(length))) << length;
  }
}

}  // namespace
}  // namespace namewall::agent
