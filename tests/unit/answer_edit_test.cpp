#include "policy/answer_edit.h"

#include <gtest/gtest.h>

#include "policy/dns_message.h"
#include "policy/wire_bytes.h"
#include "tests/support/dns_builder.h"

namespace namewall {
namespace {

using namewall::testing::AnswerBuilder;
using namewall::testing::Bytes;
using namewall::testing::mutate_message;
using namewall::testing::name_of;
using namewall::testing::wire_name;

// A message written piece by piece, for names compressed in every place.
class Wire {
 public:
  Wire& u8(std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) bytes_.push_back(static_cast<std::uint8_t>(byte));
    return *this;
  }
  Wire& u16(unsigned value) { return append_u16(bytes_, value), *this; }
  Wire& u32(std::uint32_t value) { return u16(value >> 16).u16(value & 0xffff); }
  Wire& name(std::string_view text) { return add(wire_name(text)); }
  Wire& label(std::string_view text) {
    return u8({static_cast<unsigned>(text.size())}).add(Bytes(text.begin(), text.end()));
  }
  Wire& to(std::size_t offset) { return u16(0xc000u | static_cast<unsigned>(offset)); }
  Wire& add(const Bytes& bytes) { return bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()), *this; }
  Wire& header(unsigned flags, unsigned answers, unsigned authorities = 0, unsigned additional = 0) {
    return u16(0x1234).u16(flags).u16(1).u16(answers).u16(authorities).u16(additional);
  }
  // Behind the owner; the data follows.
  Wire& fixed(unsigned type, std::uint32_t ttl, std::size_t length, unsigned record_class = 1) {
    return u16(type).u16(record_class).u32(ttl).u16(static_cast<unsigned>(length));
  }
  Wire& a(std::size_t owner, std::uint32_t ttl) { return to(owner).fixed(kTypeA, ttl, 4).u8({192, 0, 2, 1}); }
  std::size_t size() const { return bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

Bytes asked(std::string_view name, std::uint16_t type = kTypeA) {
  return build_question({.id = 0xbeef, .name = name_of(name), .type = type});
}

Bytes edited(const Bytes& answer, const Bytes& question, const AnswerEdit& edit = {}) {
  Bytes out;
  const Result<void> done = edit_answer(answer, question, edit, out);
  EXPECT_TRUE(done.has_value()) << done.error().what;
  return out;
}

bool refuses(const Bytes& answer, const Bytes& question, const AnswerEdit& edit = {}) {
  Bytes out;
  return !edit_answer(answer, question, edit, out).has_value();
}

Bytes with_id(Bytes message) { return message[0] = 0xbe, message[1] = 0xef, message; }

TEST(UpstreamQuestion, HasNothingOfTheClientsButTheQuestion) {
  Bytes question = asked("www.example.com", kTypeAaaa);
  question[2] = 0x05;  // AA, RD
  question[3] = 0xff;  // RA, Z, AD, CD, RCODE
  question[13] = 'W';
  question[11] = 1;
  const Bytes opt = {0, 0, 41, 0x10, 0, 1, 2, 0x80, 3, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  question.insert(question.end(), opt.begin(), opt.end());
  Wire expected;
  expected.u16(0).u16(0x0130).u16(1).u16(0).u16(0).u16(1).name("www.example.com").u16(28).u16(1);
  expected.u8({0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0});
  EXPECT_EQ(*upstream_question(question), expected.bytes());
}

TEST(UpstreamQuestion, KeepsTheClientsSizeWithinOurs) {
  const auto size_of = [](unsigned size) {
    Bytes question = build_question({.id = 1, .name = name_of("a.example"), .type = kTypeA}, true);
    write_u16(question, question.size() - 8, size);
    return std::to_string(read_u16(*upstream_question(question), question.size() - 8)) + " " +
           std::to_string(udp_limit(question));
  };
  EXPECT_EQ(size_of(0), "512 512");
  EXPECT_EQ(size_of(700), "700 700");
  EXPECT_EQ(size_of(4096), "1232 4096");
  EXPECT_EQ(udp_limit(asked("a.example")), 512u);
  EXPECT_EQ(upstream_question(asked("a.example"))->size(), asked("a.example").size());
  EXPECT_FALSE(upstream_question(Bytes(12)).has_value());
}

TEST(EditAnswer, GivesTheClientItsIdAndSpellingAndNothingElse) {
  const Bytes answer = AnswerBuilder("www.example.com")
                           .cname("www.example.com", 300, "cdn.example.net")
                           .a("cdn.example.net", 60, "192.0.2.1")
                           .with_opt()
                           .build();
  Bytes question = asked("www.example.com");
  question[13] = 'W', question[17] = 'E';
  Bytes expected = with_id(answer);
  expected[13] = 'W', expected[17] = 'E';
  EXPECT_EQ(edited(answer, question), expected);
}

TEST(EditAnswer, CutsTtlsByAgeAndAllowance) {
  const std::size_t owner = 12;
  const auto answer = [&](std::initializer_list<std::uint32_t> ttls) {
    Wire wire;
    wire.header(0x8180, static_cast<unsigned>(ttls.size()), 0, 1).name("a.example").u16(kTypeA).u16(1);
    for (const std::uint32_t ttl : ttls) wire.a(owner, ttl);
    return wire.u8({0}).fixed(kTypeOpt, 0x00008000, 0, 1232).bytes();  // its TTL field is no TTL
  };
  EXPECT_EQ(edited(answer({300, 60, 7, 0x80000001, 0x7fffffff}), asked("a.example"), {.max_ttl = 200, .age = 10}),
            with_id(answer({200, 50, 0, 0, 200})));
}

TEST(EditAnswer, HoldsTheSoaOfANegativeAnswerToItsMinimum) {
  const auto answer = [](std::uint32_t ttl) {
    Wire wire;
    wire.header(0x8183, 0, 1).name("a.example").u16(kTypeA).u16(1);
    wire.to(14).fixed(kTypeSoa, ttl, 24).to(14).to(14).u32(1).u32(2).u32(3).u32(4).u32(60);
    return wire.bytes();
  };
  EXPECT_EQ(edited(answer(3600), asked("a.example")), with_id(answer(60)));
  EXPECT_EQ(edited(answer(3600), asked("a.example"), {.age = 20}), with_id(answer(40)));
  EXPECT_EQ(edited(answer(30), asked("a.example")), with_id(answer(30)));
}

TEST(EditAnswer, RefusesWhatIsNoWholeAnswerToTheQuestion) {
  const Bytes answer = AnswerBuilder("a.example").a("a.example", 60, "192.0.2.1").with_opt().build();
  EXPECT_FALSE(refuses(answer, asked("a.example")));
  EXPECT_TRUE(refuses(answer, asked("b.example")));
  EXPECT_TRUE(refuses(answer, asked("a.example", kTypeAaaa)));
  EXPECT_TRUE(refuses(answer, asked("a.example.example")));
  for (std::size_t length = 0; length < answer.size(); ++length) {
    EXPECT_TRUE(
        refuses(Bytes(answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(length)), asked("a.example")));
  }
  Bytes longer = answer;
  longer.push_back(0);
  EXPECT_TRUE(refuses(longer, asked("a.example")));
  EXPECT_TRUE(refuses(AnswerBuilder("a.example").flags(0x0100).build(), asked("a.example")));
  EXPECT_TRUE(refuses(AnswerBuilder("a.example").flags(0x9100).build(), asked("a.example")));
  Bytes forward = AnswerBuilder("a.example").a("a.example", 60, "192.0.2.1").build();
  forward[28] = 28;  // the owner points to itself
  EXPECT_TRUE(refuses(forward, asked("a.example")));
}

// An HTTPS answer with names compressed behind, into and past what is taken out:
//   www.example.com HTTPS 1 . mandatory=alpn,ipv4hint,ech alpn=h2 ipv4hint ech ipv6hint key65000
//   www.example.com HTTPS 2 svc.example.com ech
//   authority: example.com NS ns1.example.com (stands behind the first cut)
//   additional: ns1.example.com A by a pointer into the NS's data, 4.3.2.MX-like data, OPT
Bytes service_answer(bool with_hints, bool with_ech) {
  Wire wire;
  wire.header(0x81a0, 2, 2, 3).name("www.example.com").u16(kTypeHttps).u16(1);
  Wire params;
  Wire mandatory;
  mandatory.u16(1);
  if (with_hints) mandatory.u16(4);
  if (with_ech) mandatory.u16(5);
  params.u16(0).u16(static_cast<unsigned>(mandatory.size())).add(mandatory.bytes());
  params.u16(1).u16(3).label("h2");
  if (with_hints) params.u16(4).u16(8).u8({192, 0, 2, 1, 192, 0, 2, 2});
  if (with_ech) params.u16(5).u16(5).u8({0, 3, 1, 2, 3});
  if (with_hints) params.u16(6).u16(16).add(Bytes(16, 0x20));
  params.u16(65000).u16(0);
  wire.to(12).fixed(kTypeHttps, 300, 3 + params.size()).u16(1).u8({0}).add(params.bytes());
  wire.to(12).fixed(kTypeHttps, 300, 2 + 17 + (with_ech ? 9 : 0)).u16(2);
  const std::size_t target = wire.size();
  wire.name("svc.example.com");
  if (with_ech) wire.u16(5).u16(5).u8({0, 3, 9, 9, 9});
  wire.to(16).fixed(2, 600, 6);
  const std::size_t server = wire.size();
  wire.label("ns1").to(16);
  wire.to(server).fixed(15, 600, 7).u16(10).label("mx").to(target + 4);
  wire.a(server, 60).a(target, 60);
  wire.u8({0}).fixed(kTypeOpt, 0x00008000, 0, 1232);
  return wire.bytes();
}

Bytes without_ad(Bytes message) { return message[3] &= 0xdf, message; }

TEST(EditAnswer, TakesHintsAndEchOutAndPointersFollow) {
  const Bytes question = asked("www.example.com", kTypeHttps);
  const Bytes whole = service_answer(true, true);
  EXPECT_EQ(edited(whole, question), with_id(whole));
  EXPECT_EQ(edited(whole, question, {.hints = Hints::kStrip}), without_ad(with_id(service_answer(false, true))));
  EXPECT_EQ(edited(whole, question, {.ech = Ech::kStrip}), without_ad(with_id(service_answer(true, false))));
  EXPECT_EQ(edited(whole, question, {.hints = Hints::kStrip, .ech = Ech::kStrip}),
            without_ad(with_id(service_answer(false, false))));
  const Bytes bare = service_answer(false, false);
  EXPECT_EQ(edited(bare, question, {.hints = Hints::kStrip, .ech = Ech::kStrip}), with_id(bare));
}

Bytes one_service(const Bytes& data, unsigned type = kTypeHttps) {
  Wire wire;
  wire.header(0x8180, 1).name("a.example").u16(type).u16(1).to(12).fixed(type, 60, data.size()).add(data);
  return wire.bytes();
}

TEST(EditAnswer, AMandatoryListThatLosesEverythingGoes) {
  const Bytes data = Wire().u16(1).u8({0}).u16(0).u16(2).u16(5).u16(5).u16(1).u8({7}).bytes();
  EXPECT_EQ(edited(one_service(data, kTypeSvcb), asked("a.example", kTypeSvcb), {.ech = Ech::kStrip}),
            with_id(one_service(Wire().u16(1).u8({0}).bytes(), kTypeSvcb)));
}

TEST(EditAnswer, RefusesServiceRecordsThatDoNotParseWhereItHasToKnow) {
  const Bytes question = asked("a.example", kTypeHttps);
  const std::vector<Bytes> malformed = {
      Bytes{},
      Wire().u16(1).bytes(),
      Wire().u16(1).label("x").bytes(),                                            // no end of the name
      Wire().u16(1).u8({0}).u16(4).u16(3).u8({1, 2, 3}).bytes(),                   // no whole address
      Wire().u16(1).u8({0}).u16(6).u16(0).bytes(),                                 // none
      Wire().u16(1).u8({0}).u16(4).u16(4).u8({1, 2, 3}).bytes(),                   // past the end
      Wire().u16(1).u8({0}).u16(5).u16(0).u16(4).u16(4).u8({1, 2, 3, 4}).bytes(),  // keys descend
      Wire().u16(1).u8({0}).u16(5).u16(0).u16(5).u16(0).bytes(),                   // twice
      Wire().u16(1).u8({0}).u16(0).u16(1).u8({5}).bytes(),                         // half a key
      Wire().u16(1).u8({0}).u16(5).bytes(),                                        // no length
  };
  for (const Bytes& data : malformed) {
    EXPECT_TRUE(refuses(one_service(data), question, {.hints = Hints::kStrip}));
    EXPECT_TRUE(refuses(one_service(data), question, {.ech = Ech::kStrip}));
    EXPECT_FALSE(refuses(one_service(data), question));
  }
}

TEST(EditAnswer, RefusesANameThatPointsIntoWhatIsTakenOut) {
  Wire wire;
  wire.header(0x8180, 2).name("a.example").u16(kTypeHttps).u16(1);
  wire.to(12).fixed(kTypeHttps, 60, 2 + 1 + 4 + 3).u16(1).u8({0}).u16(5).u16(3);
  const std::size_t inside = wire.size();
  wire.u8({1, 'x', 0}).a(inside, 60);
  EXPECT_TRUE(refuses(wire.bytes(), asked("a.example", kTypeHttps), {.ech = Ech::kStrip}));
  EXPECT_FALSE(refuses(wire.bytes(), asked("a.example", kTypeHttps)));
}

TEST(EditAnswer, TakesMessagesOf64Kibibytes) {
  Wire wire;
  const std::size_t records = (65535 - 12 - 15) / 16;
  wire.header(0x8180, static_cast<unsigned>(records)).name("a.example").u16(kTypeA).u16(1);
  for (std::size_t i = 0; i < records; ++i) wire.a(12, 600);
  const Bytes out = edited(wire.bytes(), asked("a.example"), {.max_ttl = 5});
  EXPECT_EQ(out.size(), wire.size());
  EXPECT_EQ(read_u32(out, out.size() - 10), 5u);
  Bytes longer = wire.bytes();
  longer.resize(65536);
  EXPECT_TRUE(refuses(longer, asked("a.example")));
}

TEST(EditAnswer, AskersOfOneChainNarrowEachOther) {
  PolicyImage outer, inner;
  outer.max_ttl = std::chrono::seconds(100), inner.max_ttl = std::chrono::hours(24 * 365 * 200);
  outer.ech = Ech::kStrip, inner.hints = Hints::kStrip;
  AnswerEdit edit;
  edit.hold_to(inner);
  EXPECT_EQ(edit, (AnswerEdit{.hints = Hints::kStrip}));
  edit.hold_to(outer);
  EXPECT_EQ(edit, (AnswerEdit{.max_ttl = 100, .hints = Hints::kStrip, .ech = Ech::kStrip}));
}

TEST(CacheableSeconds, AreTheSmallestTtlOfAnyRecord) {
  const auto builder = [] { return AnswerBuilder("a.example"); };
  EXPECT_EQ(
      cacheable_seconds(builder().a("a.example", 60, "192.0.2.1").a("a.example", 30, "192.0.2.2").with_opt().build()),
      30u);
  EXPECT_EQ(cacheable_seconds(builder().cname("a.example", 5, "b.example").a("b.example", 60, "192.0.2.1").build()),
            5u);
  EXPECT_EQ(cacheable_seconds(builder().a("a.example", 0x80000000, "192.0.2.1").build()), 0u);
  EXPECT_EQ(cacheable_seconds(builder().a("a.example", 60, "192.0.2.1").truncated().build()), 0u);
  EXPECT_EQ(cacheable_seconds(builder().a("a.example", 60, "192.0.2.1").rcode(2).build()), 0u);
  Bytes cut = builder().a("a.example", 60, "192.0.2.1").build();
  cut.pop_back();
  EXPECT_EQ(cacheable_seconds(cut), 0u);
}

TEST(CacheableSeconds, OfANegativeAnswerNeedItsSoa) {
  const auto negative = [](unsigned flags, bool with_alias, std::uint32_t ttl, std::uint32_t minimum, bool with_soa) {
    Wire wire;
    wire.header(flags, with_alias ? 1 : 0, with_soa ? 1 : 0).name("a.example").u16(kTypeA).u16(1);
    if (with_alias) wire.to(12).fixed(kTypeCname, 20, 2).to(14);
    if (with_soa) wire.to(14).fixed(kTypeSoa, ttl, 24).to(14).to(14).u32(1).u32(2).u32(3).u32(4).u32(minimum);
    return cacheable_seconds(wire.bytes());
  };
  EXPECT_EQ(negative(0x8183, false, 3600, 60, true), 60u);
  EXPECT_EQ(negative(0x8183, false, 30, 60, true), 30u);
  EXPECT_EQ(negative(0x8180, false, 3600, 60, true), 60u);
  EXPECT_EQ(negative(0x8180, true, 3600, 60, true), 20u);
  EXPECT_EQ(negative(0x8180, true, 0, 0, false), 0u);
  EXPECT_EQ(negative(0x8183, false, 0, 0, false), 0u);
  EXPECT_EQ(negative(0x8185, false, 3600, 60, true), 0u);
}

TEST(CacheableSeconds, NoneForAnRcodeThatTheHeaderCannotHold) {
  Wire wire;
  wire.header(0x8180, 1, 0, 1).name("a.example").u16(kTypeA).u16(1).a(12, 60);
  wire.u8({0}).fixed(kTypeOpt, 0x01000000, 0, 1232);
  EXPECT_EQ(cacheable_seconds(wire.bytes()), 0u);
}

TEST(EditAnswer, KeepsItsPromisesOnDamagedMessages) {
  std::mt19937 random(41);
  const Bytes question = asked("www.example.com", kTypeHttps);
  const Bytes whole = service_answer(true, true);
  std::size_t taken = 0;
  for (int i = 0; i < 20000; ++i) {
    const Bytes answer = mutate_message(whole, random);
    Bytes out, again;
    const AnswerEdit edit{.max_ttl = 100, .age = 1, .hints = Hints::kStrip, .ech = Ech::kStrip};
    if (!edit_answer(answer, question, edit, out)) continue;
    ++taken;
    ASSERT_LE(out.size(), answer.size());
    ASSERT_TRUE(edit_answer(out, question, {.max_ttl = 100, .hints = Hints::kStrip, .ech = Ech::kStrip}, again));
    ASSERT_EQ(again, out);  // nothing is left to be taken out
  }
  EXPECT_GT(taken, 1000u);
}

}  // namespace
}  // namespace namewall
