// The DNS proxy's sockets at the service manager.
#include "agent/host/held_places.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "bpf/enforcer.h"

namespace namewall::agent {
namespace {

HeldName place(HeldKind kind, const std::string& address, std::uint16_t port) {
  return {0x1a2b, kind, {*parse_address(address), Port{port}}};
}

TEST(HeldNames, SayCookieResolverAndKind) {
  EXPECT_EQ(text_of(place(HeldKind::kUdp, "10.0.0.2", 53)), "proxy.1a2b.10.0.0.2-53.udp");
  EXPECT_EQ(text_of(place(HeldKind::kTcp, "2001:db8::53", 5353)), "proxy.1a2b.2001_db8__53-5353.tcp");
  EXPECT_EQ(text_of({0x1a2b, HeldKind::kNetns, {}}), "proxy.1a2b.netns");
  EXPECT_EQ(text_of({0x1a2b, HeldKind::kDiagnosis, {}}), "proxy.1a2b.diagnosis");
}

TEST(HeldNames, AreReadAsTheyAreWritten) {
  for (const HeldName& name : {place(HeldKind::kUdp, "10.0.0.2", 53), place(HeldKind::kTcp, "2001:db8::53", 5353),
                               place(HeldKind::kUdp, "::1", 65535), HeldName{~0ull, HeldKind::kNetns, {}},
                               HeldName{1, HeldKind::kDiagnosis, {}}}) {
    const auto read = parse_held_name(text_of(name));
    ASSERT_TRUE(read) << text_of(name);
    EXPECT_EQ(*read, name);
  }
}

TEST(HeldNames, ThatNobodyWroteAreNone) {
  for (const char* text :
       {"", "control", "proxy", "proxy.", "proxy.1a2b", "proxy.1a2b.", "proxy.0.netns", "proxy.xyz.netns",
        "proxy.1a2b.10.0.0.2-53.netns", "proxy.1a2b.udp", "proxy.1a2b.10.0.0.2-53.", "proxy.1a2b.10.0.0.2-0.udp",
        "proxy.1a2b.10.0.0.2.udp", "proxy.1a2b.10.0.0.2-65536.udp", "proxy.1a2b.10.0.0.256-53.udp", "proxy.1A2B.netns",
        "proxy.01a2b.netns", "proxy.1a2b.10.0.0.2-053.udp"}) {
    EXPECT_FALSE(parse_held_name(text)) << text;
  }
}

TEST(HeldPlaces, AreAdoptedAsFarAsTheyAreWhatTheirNamesSay) {
  const auto cookie = bpf::netns_cookie();
  ASSERT_TRUE(cookie);
  const ResolverAddress good{Address::v4({10, 0, 0, 2}), Port{53}}, lone{Address::v4({10, 0, 0, 3}), Port{53}},
      other_family{*parse_address("2001:db8::53"), Port{53}};
  std::vector<HeldDescriptor> held;
  const auto add = [&](const HeldName& name, FileDescriptor fd) { held.push_back({text_of(name), std::move(fd)}); };
  const auto open = [](const ResolverAddress& resolver) {
    auto sockets = open_proxy_sockets(resolver);
    EXPECT_TRUE(sockets) << sockets.error().message();
    return sockets ? std::move(*sockets) : ProxySockets{};
  };
  ProxySockets sockets = open(good), half = open(lone), wrong = open(good), elsewhere = open(good);
  add({*cookie, HeldKind::kUdp, good}, std::move(sockets.udp));
  add({*cookie, HeldKind::kTcp, good}, std::move(sockets.tcp));
  add({*cookie, HeldKind::kUdp, lone}, std::move(half.udp));
  add({*cookie, HeldKind::kUdp, other_family}, std::move(wrong.udp));
  add({*cookie, HeldKind::kTcp, other_family}, std::move(wrong.tcp));
  add({*cookie + 1, HeldKind::kUdp, good}, std::move(elsewhere.udp));
  add({*cookie + 1, HeldKind::kTcp, good}, std::move(elsewhere.tcp));
  held.push_back({"control", FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))});

  ServiceNotify notify = ServiceNotify::from_environment();
  HeldPlaces places(notify);
  const auto adopted = places.adopt(std::move(held));
  ASSERT_TRUE(adopted.contains(*cookie));
  EXPECT_EQ(adopted.at(*cookie).places.size(), 1u);
  EXPECT_TRUE(adopted.at(*cookie).places.contains(good));
  EXPECT_TRUE(adopted.at(*cookie + 1).places.empty()) << "of another network namespace than their name says";
  EXPECT_EQ(places.size(), 2u) << "the manager keeps what was adopted, and nothing else";
}

TEST(HeldPlaces, AreReleasedByNamespace) {
  ServiceNotify notify = ServiceNotify::from_environment();
  HeldPlaces places(notify);
  auto sockets = open_proxy_sockets({Address::v4({10, 0, 0, 2}), Port{53}});
  ASSERT_TRUE(sockets) << sockets.error().message();
  places.hold({Address::v4({10, 0, 0, 2}), Port{53}}, 0x1a, *sockets);
  places.hold({Address::v4({10, 0, 0, 2}), Port{53}}, 0x1ab, *sockets);
  EXPECT_EQ(places.size(), 4u);
  places.release(0x1a);
  EXPECT_EQ(places.size(), 2u) << "another cookie begins with the same digits";
  places.release(0x1ab, {Address::v4({10, 0, 0, 3}), Port{53}});
  EXPECT_EQ(places.size(), 2u) << "another resolver";
  places.release(0x1ab, {Address::v4({10, 0, 0, 2}), Port{53}});
  EXPECT_EQ(places.size(), 0u);
}

}  // namespace
}  // namespace namewall::agent
