#include "agent/host/folder_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "agent/host/folder_findings.h"
#include "policy/policy_loader.h"

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

BootTime at(int seconds) { return {std::chrono::seconds(seconds)}; }

// A folder of which a test says what has changed; each step is a snapshot of it.
class Folder {
 public:
  Folder& put(const std::string& name, const std::string& text) {
    files_.insert_or_assign(name, Result<std::string>(text));
    return *this;
  }
  Folder& put_unreadable(const std::string& name) {
    files_.insert_or_assign(name, Result<std::string>(fail(ErrorKind::kPermission, "cannot open " + name)));
    return *this;
  }
  Folder& remove(const std::string& name) {
    files_.erase(name);
    return *this;
  }
  Folder& put_host(const std::string& text) {
    host_ = FileText{"host.toml", text};
    return *this;
  }
  Folder& remove_host() {
    host_.reset();
    return *this;
  }
  Folder& put_group(const std::string& name, const std::string& version, const std::vector<std::string>& endpoints) {
    std::erase_if(groups_, [&](const Group& group) { return group.name == name; });
    groups_.push_back({name, version, {}, {}});
    for (const std::string& text : endpoints) {
      groups_.back().rules.push_back({*parse_endpoint(text, EndpointUse::kAllow), {"g.toml", 4, 3}, ""});
    }
    return *this;
  }
  Folder& lose_list() {
    is_lost_ = true;
    return *this;
  }
  const FolderSnapshot& load(int seconds) {
    FolderContents contents;
    for (const auto& [name, text] : files_) contents.files.push_back({name, text});
    contents.host = host_;
    if (is_lost_) contents.files.clear(), contents.errors = {"cannot read the folder"};
    is_lost_ = false;
    now_ = next_snapshot(contents, now_, system_, at(seconds), std::nullopt, {groups_, {}, {}});
    return now_;
  }
  // "FILE STATE POLICY"
  std::vector<std::string> states() const {
    std::vector<std::string> lines;
    for (const PolicyFileStatus& file : now_.files) {
      lines.push_back(file.file + " " + std::string(word_of(file.state)) + " " +
                      (file.in_force ? file.in_force->planned.name + " " + cgroup_of(file) : "-"));
    }
    return lines;
  }
  const PolicyFileStatus& status(const std::string& name) const {
    static const PolicyFileStatus kNone;
    for (const PolicyFileStatus& file : now_.files) {
      if (file.file == name) return file;
    }
    ADD_FAILURE() << "no file " << name;
    return kNone;
  }
  FolderSnapshot& snapshot() { return now_; }

 private:
  static std::string cgroup_of(const PolicyFileStatus& file) {
    const auto& cgroups = file.in_force->planned.cgroups;
    return cgroups.empty() ? "" : cgroups.front().text();
  }
  std::map<std::string, Result<std::string>> files_;
  std::optional<FileText> host_;
  ResolvConf system_ = parse_resolv_conf("nameserver 192.0.2.53");
  FolderSnapshot now_;
  std::vector<Group> groups_;
  bool is_lost_ = false;
};

std::string policy(const std::string& name, const std::string& cgroup) {
  return "name = \"" + name + "\"\ncgroup = \"" + cgroup + "\"\nallow = [\"a.example\"]\n";
}

TEST(FolderSnapshot, GoesByTheProxyWhereTheKernelCannotReadDns) {
  const auto snapshot_of = [](const std::string& dns, bool kernel_can_learn) {
    FolderContents contents;
    contents.files.push_back({"a.toml", "name = \"a\"\ncgroup = \"/a\"\nallow = [\"a.example\"]\n" + dns});
    return next_snapshot(contents, {}, {}, {}, kernel_can_learn);
  };
  const FolderSnapshot by_proxy = snapshot_of("", false);
  ASSERT_TRUE(by_proxy.find("a"));
  EXPECT_EQ(by_proxy.find("a")->image->learn, Learn::kProxy);
  EXPECT_EQ(snapshot_of("", true).find("a")->image->learn, Learn::kKernel);
  EXPECT_FALSE(snapshot_of("[dns]\nlearn = \"kernel\"\n", false).find("a")) << "it writes what cannot be";
}

TEST(FolderSnapshot, LoadsEveryFile) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put("b.json", R"({"name": "b", "cgroup": "/b"})");
  EXPECT_TRUE(folder.load(5).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a", "b.json in force b /b"));
  const PolicyFileStatus& status = folder.status("a.toml");
  EXPECT_EQ(status.since, at(5));
  EXPECT_THAT(status.in_force->planned.sha256, SizeIs(64));
  EXPECT_EQ(status.in_force->image->resolvers.size(), 1u);
  EXPECT_EQ(folder.snapshot().find("b"), folder.status("b.json").in_force);
  EXPECT_EQ(folder.snapshot().find("c"), nullptr);
}

TEST(FolderSnapshot, SharesVersionsThatHaveNotChanged) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put("b.toml", policy("b", "/b")).load(1);
  const auto a = folder.status("a.toml").in_force;
  const auto b = folder.status("b.toml").in_force;
  folder.put("b.toml", policy("b", "/b2")).load(2);
  EXPECT_EQ(folder.status("a.toml").in_force, a);
  EXPECT_EQ(folder.status("a.toml").since, at(1));
  EXPECT_NE(folder.status("b.toml").in_force, b);
  EXPECT_EQ(folder.status("b.toml").since, at(2));
}

TEST(FolderSnapshot, KeepsThePolicyOfAFileWithMistakesAndSaysWhere) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  EXPECT_FALSE(folder.put("a.toml", "nmae = \"a\"").load(2).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /a"));
  EXPECT_EQ(folder.status("a.toml").since, at(1));
  EXPECT_THAT(folder.snapshot().all_errors(), ElementsAre("a.toml:1:1: error: unknown key `nmae`; did you mean `name`?",
                                                          HasSubstr("a.toml:1:1: error: `name` is missing")));
  EXPECT_TRUE(folder.put("a.toml", policy("a", "/a2")).load(3).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a2"));
}

TEST(FolderSnapshot, HasNothingOfAFileThatNeverWasWhole) {
  Folder folder;
  folder.put("a.toml", "name = 1").put("b.toml", policy("b", "/b")).load(1);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml broken -", "b.toml in force b /b"));
  EXPECT_THAT(folder.snapshot().planned(), SizeIs(1));
  folder.remove("a.toml").load(2);
  EXPECT_THAT(folder.states(), ElementsAre("b.toml in force b /b"));
}

TEST(FolderSnapshot, RefusesBytesThatAreNoText) {
  Folder folder;
  folder.put("a.toml", "name = \"a\xff\"").put("b.json", "{\"name\": \"\xc3(\"}").load(1);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml broken -", "b.json broken -"));
}

TEST(FolderSnapshot, KeepsThePolicyOfAFileThatCannotBeRead) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  folder.put_unreadable("a.toml").load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /a"));
  EXPECT_THAT(folder.status("a.toml").errors, ElementsAre("a.toml: error: cannot open a.toml"));
  EXPECT_TRUE(folder.put("a.toml", policy("a", "/a")).load(3).ok());
}

TEST(FolderSnapshot, KeepsThePolicyOfAFileThatIsGoneUntilItIsForgotten) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  folder.remove("a.toml").load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /a"));
  EXPECT_THAT(
      folder.status("a.toml").errors,
      ElementsAre("a.toml: error: the file is gone; its workloads stay held, and `namewall teardown` lifts that"));
  folder.load(3);
  EXPECT_THAT(folder.status("a.toml").errors, SizeIs(1));
  EXPECT_FALSE(forget_gone_file(folder.snapshot(), "b"));
  EXPECT_TRUE(forget_gone_file(folder.snapshot(), "a"));
  EXPECT_TRUE(folder.load(4).ok());
  EXPECT_THAT(folder.states(), IsEmpty());
}

TEST(FolderSnapshot, ForgetsNoFileThatIsThere) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  EXPECT_FALSE(forget_gone_file(folder.snapshot(), "a"));
}

TEST(FolderSnapshot, TakesAFileBackThatWasGone) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  folder.remove("a.toml").load(2);
  EXPECT_TRUE(folder.put("a.toml", policy("a", "/a")).load(3).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a"));
}

TEST(FolderSnapshot, FollowsAPolicyToAnotherFile) {
  Folder folder;
  folder.put("a.toml", policy("a", "/x/*")).load(1);
  EXPECT_TRUE(folder.remove("a.toml").put("b.toml", policy("a", "/x/*")).load(2).ok());
  EXPECT_THAT(folder.states(), ElementsAre("b.toml in force a /x/*"));
}

TEST(FolderSnapshot, DoesNotGiveTheCgroupsOfAFileThatIsGoneToAnotherPolicy) {
  Folder folder;
  folder.put("a.toml", policy("a", "/x/*")).load(1);
  folder.remove("a.toml").put("b.toml", policy("b", "/x/y*")).load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /x/*", "b.toml broken -"));
  EXPECT_THAT(folder.status("b.toml").errors, ElementsAre(HasSubstr("can match the same cgroup")));
}

TEST(FolderSnapshot, KeepsAFileThatIsGoneIfItsSuccessorClashes) {
  Folder folder;
  folder.put("a.toml", policy("a", "/x/*")).put("c.toml", policy("c", "/y/*")).load(1);
  folder.remove("a.toml").put("b.toml", policy("a", "/y/z*")).load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /x/*", "b.toml broken -", "c.toml in force c /y/*"));
}

TEST(FolderSnapshot, LeavesWhatIsInForceWhereANewFileClashesWithIt) {
  Folder folder;
  folder.put("b.toml", policy("b", "/x/*")).load(1);
  folder.put("a.toml", policy("a", "/x/job-*")).put("c.toml", policy("b", "/c")).load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml broken -", "b.toml in force b /x/*", "c.toml broken -"));
  EXPECT_THAT(folder.snapshot().all_errors(),
              ElementsAre(HasSubstr("a.toml: error: `cgroup` `/x/job-*` in a.toml and `/x/*` in b.toml can match"),
                          HasSubstr("c.toml: error: `name` is \"b\" in b.toml and in c.toml")));
}

TEST(FolderSnapshot, BringsNeitherOfTwoNewFilesIntoForceThatClash) {
  Folder folder;
  folder.put("a.toml", policy("a", "/x/*"))
      .put("b.toml", policy("b", "/x/b*"))
      .put("c.toml", policy("c", "/c"))
      .load(1);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml broken -", "b.toml broken -", "c.toml in force c /c"));
  EXPECT_TRUE(folder.put("b.toml", policy("b", "/b/*")).load(2).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /x/*", "b.toml in force b /b/*", "c.toml in force c /c"));
}

TEST(FolderSnapshot, LetsTwoFilesSwapWhatTheyHold) {
  Folder folder;
  folder.put("a.toml", policy("a", "/x/*")).put("b.toml", policy("b", "/y/*")).load(1);
  EXPECT_TRUE(folder.put("a.toml", policy("a", "/y/*")).put("b.toml", policy("b", "/x/*")).load(2).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /y/*", "b.toml in force b /x/*"));
}

TEST(FolderSnapshot, TakesASwapBackOfWhichOneHalfIsBroken) {
  Folder folder;
  folder.put("a.toml", policy("a", "/x/*")).put("b.toml", policy("b", "/y/*")).load(1);
  folder.put("a.toml", "name =").put("b.toml", policy("b", "/x/*")).load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /x/*", "b.toml kept b /y/*"));
}

TEST(FolderSnapshot, RefusesAPolicyBeyondABound) {
  std::string allow;
  for (int i = 0; i < 50; ++i) allow += "\"a" + std::to_string(i) + ".example:" + std::to_string(1000 + 2 * i) + "\",";
  Folder folder;
  folder.put("a.toml", "name = \"a\"\nallow = [" + allow + "]").load(1);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml broken -"));
  EXPECT_THAT(folder.status("a.toml").errors, ElementsAre(HasSubstr("a.toml:1:1: error: ")));
}

TEST(FolderSnapshot, KeepsEverythingWhereTheFolderCannotBeRead) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  folder.lose_list().load(2);
  EXPECT_THAT(folder.snapshot().all_errors(), ElementsAre("cannot read the folder"));
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a"));
}

TEST(FolderSnapshot, CompilesEveryPolicyAnewWithAnotherHostPolicy) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put("b.toml", policy("b", "/b")).load(1);
  const std::string before = folder.status("a.toml").in_force->planned.sha256;
  folder.put("b.toml", "name =").put_host("deny = [\"192.0.2.1\"]").load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a", "b.toml kept b /b"));
  EXPECT_NE(folder.status("a.toml").in_force->planned.sha256, before);
  for (const char* file : {"a.toml", "b.toml"}) {
    EXPECT_NE(decide_address(*folder.status(file).in_force->image, *parse_address("192.0.2.1")).host_deny, 0u) << file;
  }
}

TEST(FolderSnapshot, CompilesEveryPolicyAnewWithOtherLimitsOfTheHost) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  std::set<std::string> versions{folder.status("a.toml").in_force->planned.sha256};
  int seconds = 1;
  for (const char* host : {"[limits]\nudp = \"deny\"", "[limits]\nudp = [\"b\"]", "[limits]\nlisten = \"deny\"",
                           "[limits]\nloopback_low_ports = \"deny\"", "block_networks = [\"10.0.0.0/8\"]"}) {
    folder.put_host(host).load(++seconds);
    EXPECT_TRUE(versions.insert(folder.status("a.toml").in_force->planned.sha256).second) << host;
  }
}

TEST(FolderSnapshot, WarnsOfAnExemptedNameThatNoPolicyHas) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a"))
      .put_host("[limits]\nudp = [\"a\", \"bulider\"]\nlisten = [\"bulider\"]")
      .load(1);
  EXPECT_TRUE(folder.snapshot().ok());
  const std::string warning = "`bulider` is exempt from a limit, and no policy of the folder is called so";
  EXPECT_THAT(folder.snapshot().host.warnings, ElementsAre(HasSubstr(warning)));
  folder.load(2);
  EXPECT_THAT(folder.snapshot().host.warnings, ElementsAre(HasSubstr("host.toml:3:10: warning: " + warning)));
  folder.put("b.toml", policy("bulider", "/b")).load(3);
  EXPECT_THAT(folder.snapshot().host.warnings, IsEmpty());
}

TEST(FolderSnapshot, LeavesPoliciesAloneWhereOnlySettingsOfTheHostChange) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put_host("[log]\nlevel = \"debug\"").load(1);
  const auto before = folder.status("a.toml").in_force;
  folder.put_host("[log]\nlevel = \"error\"").load(2);
  EXPECT_EQ(folder.status("a.toml").in_force, before);
  EXPECT_EQ(folder.snapshot().host.in_force->file.settings.log_level, LogLevel::kError);
  EXPECT_EQ(folder.snapshot().host.since, at(2));
}

TEST(FolderSnapshot, KeepsTheHostPolicyThatWasInForce) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put_host("deny = [\"192.0.2.1\"]").load(1);
  folder.put_host("dney = []").load(2);
  EXPECT_EQ(folder.snapshot().host.state, FileState::kKept);
  EXPECT_THAT(folder.snapshot().all_errors(),
              ElementsAre("host.toml:1:1: error: unknown key `dney`; did you mean `deny`?"));
  folder.remove_host().load(3);
  EXPECT_EQ(folder.snapshot().host.state, FileState::kKept);
  EXPECT_EQ(folder.snapshot().host.in_force->file.policy.deny.size(), 1u);
  EXPECT_THAT(folder.snapshot().all_errors(), ElementsAre(HasSubstr("host.toml: error: the file is gone")));
  EXPECT_TRUE(folder.put_host("").load(4).ok());
  EXPECT_TRUE(folder.snapshot().host.in_force->file.policy.deny.empty());
}

TEST(FolderSnapshot, BringsNoPolicyIntoForceWithoutAHostPolicy) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put_host("deny = 1").load(1);
  EXPECT_EQ(folder.snapshot().host.state, FileState::kBroken);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml broken -"));
  EXPECT_TRUE(folder.put_host("").load(2).ok());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a"));
}

TEST(FolderSnapshot, RefusesAHostPolicyThatPutsAPolicyInForceBeyondABound) {
  std::string allow, deny;
  for (int i = 0; i < 18; ++i) allow += "\"a" + std::to_string(i) + ".example:" + std::to_string(1000 + 2 * i) + "\",";
  for (int i = 0; i < 40; ++i)
    deny += "\"tcp://d" + std::to_string(i) + ".example:" + std::to_string(5000 + 2 * i) + "\",";
  Folder folder;
  folder.put("a.toml", "name = \"a\"\nallow = [" + allow + "]").put("b.toml", policy("b", "/b")).put_host("").load(1);
  ASSERT_TRUE(folder.snapshot().ok());
  folder.put_host("deny = [" + deny + "]").put("b.toml", policy("b", "/b2")).load(2);
  EXPECT_EQ(folder.snapshot().host.state, FileState::kKept);
  EXPECT_TRUE(folder.snapshot().host.in_force->file.policy.deny.empty());
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a ", "b.toml in force b /b2"));
}

std::vector<std::string> allowed_by(const FolderSnapshot& snapshot, const std::string& policy_name) {
  std::vector<std::string> endpoints;
  for (const Rule& rule : snapshot.find(policy_name)->policy.allow) {
    endpoints.push_back(to_canonical_string(rule.endpoint));
  }
  return endpoints;
}

TEST(FolderSnapshot, AGroupThatOpensMoreIsInForceWithTheNextReadingAndTold) {
  Folder folder;
  folder.put_group("npm", "3", {"https://a.example"})
      .put("b.toml", "name = \"b\"\ncgroup = \"/b\"\nallow = [\"@npm\"]\n");
  folder.put("c.toml", policy("c", "/c"));
  const auto before = folder.load(1);
  EXPECT_THAT(before.group_changes, IsEmpty());
  folder.put_group("npm", "4", {"https://a.example", "https://x.example"});
  const auto after = folder.load(2);
  EXPECT_THAT(allowed_by(after, "b"), ElementsAre("tcp://a.example:443", "tcp://x.example:443"));
  EXPECT_THAT(after.group_changes, ElementsAre("group @npm 3 -> 4 opens `tcp://x.example:443`"));
  EXPECT_THAT(folder.status("b.toml").warnings,
              ElementsAre("b.toml: warning: group @npm 3 -> 4 opens `tcp://x.example:443`"));
  EXPECT_EQ(folder.status("b.toml").since, at(2));
  EXPECT_EQ(after.find("c"), before.find("c")) << "who names no group keeps its version";
  EXPECT_THAT(folder.load(3).group_changes, IsEmpty());
}

TEST(FolderSnapshot, AGroupOfDenyOpensWhatItLeavesOut) {
  Folder folder;
  folder.put_group("ads", "1", {"ads.example", "more.example"});
  folder.put("b.toml", "name = \"b\"\ncgroup = \"/b\"\nallow = [\"**.example\"]\ndeny = [\"@ads\"]\n").load(1);
  folder.put_group("ads", "2", {"ads.example"});
  EXPECT_THAT(folder.load(2).group_changes, ElementsAre("group @ads 1 -> 2 in `deny` opens `tcp://more.example:443`"));
}

TEST(FolderSnapshot, AGroupOfTheHostFileIsThatOfTheOneInForce) {
  Folder folder;
  folder.put_host("[groups]\nmine = [\"https://a.example\"]\n");
  folder.put("b.toml", "name = \"b\"\ncgroup = \"/b\"\nallow = [\"@mine\"]\n").load(1);
  EXPECT_THAT(allowed_by(folder.snapshot(), "b"), ElementsAre("tcp://a.example:443"));
  folder.put_host("[groups]\nmine = [\"https://a.example\", \"https://b.example\"\n").load(2);
  EXPECT_THAT(allowed_by(folder.snapshot(), "b"), ElementsAre("tcp://a.example:443")) << "host.toml is broken";
  folder.put_host("[groups]\nmine = [\"https://b.example\"]\n").load(3);
  EXPECT_THAT(allowed_by(folder.snapshot(), "b"), ElementsAre("tcp://b.example:443"));
  EXPECT_THAT(folder.snapshot().group_changes,
              ElementsAre("group @mine closes `tcp://a.example:443`", "group @mine opens `tcp://b.example:443`"));
  folder.put_host("").load(4);
  EXPECT_THAT(folder.states(), ElementsAre("b.toml kept b /b")) << "the group is gone, the policy is not";
  EXPECT_THAT(folder.status("b.toml").errors, ElementsAre(HasSubstr("\"@mine\" is no group")));
}

TEST(FolderSnapshot, AHostGroupFollowsTheShippedOneThatItNames) {
  Folder folder;
  folder.put_group("npm", "3", {"https://a.example"}).put_host("[groups]\nmine = [\"@npm\"]\n");
  folder.put("b.toml", "name = \"b\"\ncgroup = \"/b\"\nallow = [\"@mine\"]\n").load(1);
  folder.put_group("npm", "4", {"https://a.example", "https://b.example"}).load(2);
  EXPECT_THAT(allowed_by(folder.snapshot(), "b"), ElementsAre("tcp://a.example:443", "tcp://b.example:443"));
}

TEST(FolderSnapshot, AFileThatFailsItsOwnExpectationsKeepsTheVersionInForce) {
  const std::string expectation = "[[expect]]\ntarget = \"b.example\"\nallowed = false\n";
  Folder folder;
  folder.put("a.toml", policy("a", "/a") + expectation).load(1);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a"));
  folder.put("a.toml", "name = \"a\"\ncgroup = \"/a\"\nallow = [\"a.example\", \"b.example\"]\n" + expectation).load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml kept a /a"));
  EXPECT_THAT(folder.status("a.toml").errors,
              ElementsAre(HasSubstr("a.toml:5:10: error: expected `b.example` to be refused")));
  EXPECT_THAT(allowed_by(folder.snapshot(), "a"), ElementsAre("tcp://a.example:443"));
}

TEST(FolderSnapshot, ANewHostPolicyHoldsThoughAPolicyFailsItsExpectationsWithIt) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a") + "[[expect]]\ntarget = \"a.example\"\nallowed = true\n").load(1);
  folder.put_host("deny = [\"a.example\"]\n").load(2);
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a"));
  EXPECT_FALSE(decide_name(*folder.snapshot().find("a")->image, DomainName::from_normal("a.example")).may_ask());
  EXPECT_THAT(folder.status("a.toml").warnings, ElementsAre(HasSubstr("warning: expected `a.example` to be allowed")));
}

TEST(FolderSnapshot, BlocksAndLimitsOfANewHostPolicyHoldForWhatIsInForce) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).load(1);
  const auto before = folder.snapshot().find("a");
  EXPECT_TRUE(before->image->may_listen);
  folder.put_host("block_networks = [\"10.0.0.0/8\"]\n[limits]\nlisten = \"deny\"\n").load(2);
  const auto after = folder.snapshot().find("a");
  EXPECT_FALSE(after->image->may_listen);
  EXPECT_NE(decide_address(*after->image, *parse_address("10.0.0.1")).host_deny, 0u);
  EXPECT_NE(after->planned.sha256, before->planned.sha256);
}

TEST(FolderFindings, AreWarningsOfWhatIsInForceAndNeverKeepItOut) {
  Folder folder;
  folder.put("a.toml", policy("a", "/a")).put("b.toml", "name = \"b\"\ncgroup = \"/a/b\"\nallow = [\"b.example\"]\n");
  folder.load(1);
  find_conflicts(folder.snapshot(), {}, {});
  EXPECT_THAT(folder.status("a.toml").findings, IsEmpty());
  EXPECT_THAT(folder.status("b.toml").findings,
              ElementsAre("b.toml:3:10: warning: `b.example` cannot be satisfied: nothing in a.toml permits it"));
  const FolderSnapshot older = folder.snapshot();
  folder.put_host("deny = [\"a.example\"]\n").load(2);
  find_conflicts(folder.snapshot(), older, {});
  EXPECT_THAT(folder.states(), ElementsAre("a.toml in force a /a", "b.toml in force b /a/b"));
  EXPECT_THAT(folder.status("a.toml").findings,
              ElementsAre("a.toml:3:10: warning: `a.example` cannot be satisfied: it is denied by host.toml:1"));
  const FolderSnapshot same = folder.snapshot();
  folder.load(3);
  find_conflicts(folder.snapshot(), same, {});
  EXPECT_THAT(folder.status("a.toml").findings, SizeIs(1)) << "nothing changed";
  EXPECT_THAT(collect_warnings(folder.snapshot(), 10), SizeIs(2));
  EXPECT_THAT(collect_warnings(folder.snapshot(), 1),
              ElementsAre("2 more warnings are not shown: see `namewall check`"));
}

TEST(FolderFindings, AreBounded) {
  std::string allow = "name = \"a\"\ncgroup = \"/a\"\nallow = [";
  for (int i = 0; i < 50; ++i) allow += "\"h" + std::to_string(i) + ".internal\",";
  Folder folder;
  folder.put("a.toml", allow + "]\n").load(1);
  find_conflicts(folder.snapshot(), {}, {});
  ASSERT_EQ(folder.status("a.toml").findings.size(), kMaxFindings);
  EXPECT_EQ(folder.status("a.toml").findings.back(),
            "a.toml: warning: 31 more findings are not shown: see `namewall check`");
}

}  // namespace
}  // namespace namewall::agent
