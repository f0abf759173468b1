#include "agent/host/change_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "tests/unit/agent/full_disk.h"
#include "tests/unit/agent/temporary_directory.h"

namespace namewall::agent {
namespace {

ChangeEntry make_change(const std::string& workload) {
  ChangeEntry entry;
  entry.time = "2026-01-02T03:04:05.000Z";
  entry.action = ChangeAction::kReplace;
  entry.workload = workload;
  entry.cgroup = "/ci.slice/job-1";
  entry.by_peer = true;
  entry.uid = 0;
  entry.pid = 4188;
  entry.executable = "/usr/bin/curl";
  entry.reason = "ticket 7";
  entry.old_sha256 = "aa";
  entry.new_sha256 = "bb";
  entry.old_generation = 3;
  entry.new_generation = 4;
  return entry;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream stream(contents_of(path));
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string workload_of(const std::string& line) { return nlohmann::json::parse(line).at("workload"); }

TEST(ChangeLine, SaysWhoChangedWhatFromWhatToWhat) {
  EXPECT_EQ(change_line(make_change("builder")),
            R"({"time":"2026-01-02T03:04:05.000Z","action":"replace","workload":"builder","cgroup":"/ci.slice/job-1",)"
            R"("peer":{"uid":0,"pid":4188,"executable":"/usr/bin/curl"},"reason":"ticket 7","old_sha256":"aa",)"
            R"("new_sha256":"bb","old_generation":3,"new_generation":4,"result":"ok"})"
            "\n");
}

TEST(ChangeLine, NamesNoPeerWhereTheDaemonActed) {
  auto entry = make_change("builder");
  entry.by_peer = false;
  EXPECT_FALSE(nlohmann::json::parse(change_line(entry)).contains("peer"));
}

TEST(ChangeLine, CannotBeForgedByWhatAPeerWrote) {
  auto entry = make_change("builder");
  entry.reason = "x\"}\n{\"action\":\"teardown\"\x1b[2J\xff\xc3";
  const auto line = change_line(entry);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(line).at("action"), "replace");
}

TEST(ChangeLine, StaysBelowItsBound) {
  auto entry = make_change(std::string(100'000, '\x01'));
  entry.cgroup = entry.reason = entry.executable = entry.result = entry.old_sha256 = entry.workload;
  const auto line = change_line(entry);
  EXPECT_LE(line.size(), kMaxChangeLine);
  EXPECT_GT(line.size(), kMaxChangeLine / 4);
  EXPECT_TRUE(workload_of(line).ends_with("..."));
}

class ChangeRecordTest : public testing::Test {
 protected:
  const TemporaryDirectory directory_;
  const std::string path_ = directory_.file("changes.jsonl");
  ChangeRecord record_{path_};
};

TEST_F(ChangeRecordTest, OnlyEverAppends) {
  ASSERT_TRUE(record_.append(make_change("a")));
  ASSERT_TRUE(record_.append(make_change("b")));
  ASSERT_TRUE(ChangeRecord(path_).append(make_change("c")));
  const auto lines = lines_of(path_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(workload_of(lines[0]) + workload_of(lines[1]) + workload_of(lines[2]), "abc");
}

TEST_F(ChangeRecordTest, IsNotForEverybody) {
  ASSERT_TRUE(record_.append(make_change("a")));
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777 & ~0640u, 0u);
}

TEST_F(ChangeRecordTest, FollowsItsNameAfterARotation) {
  ASSERT_TRUE(record_.append(make_change("a")));
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  ASSERT_TRUE(record_.append(make_change("b")));
  EXPECT_EQ(lines_of(path_ + ".1").size(), 1u);
  ASSERT_EQ(lines_of(path_).size(), 1u);
  EXPECT_EQ(workload_of(lines_of(path_)[0]), "b");
}

TEST_F(ChangeRecordTest, GoesOnInAFileThatWasCutShort) {
  ASSERT_TRUE(record_.append(make_change("a")));
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  ASSERT_TRUE(record_.append(make_change("b")));
  EXPECT_EQ(lines_of(path_).size(), 1u);
}

TEST_F(ChangeRecordTest, EndsATornLineBeforeTheNext) {
  ASSERT_TRUE(record_.append(make_change("a")));
  const auto one_line = contents_of(path_).size();
  {
    const FullDisk full(one_line + 40);
    EXPECT_FALSE(record_.append(make_change("torn")));
    EXPECT_FALSE(record_.append(make_change("lost")));
  }
  ASSERT_TRUE(record_.append(make_change("b")));
  const auto lines = lines_of(path_);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1].size(), 40u);
  EXPECT_EQ(workload_of(lines[2]), "b");
}

TEST_F(ChangeRecordTest, EndsALineThatAnEarlierDaemonTore) {
  put_into(path_, "{\"time\":\"20");
  ASSERT_TRUE(record_.append(make_change("b")));
  const auto lines = lines_of(path_);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(workload_of(lines[1]), "b");
}

TEST_F(ChangeRecordTest, WritesThroughNoSymbolicLink) {
  const auto target = directory_.file("target");
  put_into(target, "precious\n");
  ASSERT_EQ(symlink(target.c_str(), path_.c_str()), 0);
  const auto appended = record_.append(make_change("a"));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().kind, ErrorKind::kPermission);
  EXPECT_EQ(contents_of(target), "precious\n");
}

TEST_F(ChangeRecordTest, DoesNotWaitForTheReaderOfAFifo) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(record_.append(make_change("a")).error().kind, ErrorKind::kPermission);
}

TEST_F(ChangeRecordTest, RecoversWhenItsDirectoryComesBack) {
  ChangeRecord record(directory_.file("later/changes.jsonl"));
  EXPECT_FALSE(record.append(make_change("a")));
  std::filesystem::create_directory(directory_.file("later"));
  EXPECT_TRUE(record.append(make_change("b")));
}

}  // namespace
}  // namespace namewall::agent
