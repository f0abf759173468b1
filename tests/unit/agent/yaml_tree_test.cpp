#include "agent/yaml_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace namewall::agent {
namespace {

using ::testing::HasSubstr;

// The tree in one line: kinds, texts and positions.
std::string show(const ConfigNode& node) {
  const std::string at = "@" + std::to_string(node.position.line) + ":" + std::to_string(node.position.column);
  std::string inside;
  switch (node.kind) {
    case ConfigNode::Kind::kString:
      return '"' + node.text + '"' + at;
    case ConfigNode::Kind::kList:
      for (const ConfigNode& item : node.items) inside += (inside.empty() ? "" : " ") + show(item);
      return "[" + inside + "]";
    case ConfigNode::Kind::kTable:
      for (const ConfigEntry& entry : node.entries) {
        inside += (inside.empty() ? "" : " ") + entry.key + "=" + show(entry.value);
      }
      return "{" + inside + "}";
    case ConfigNode::Kind::kInteger:
      return std::to_string(node.integer) + at;
    case ConfigNode::Kind::kBoolean:
      return (node.truth ? "true" : "false") + at;
    case ConfigNode::Kind::kNull:
      return "null" + at;
    case ConfigNode::Kind::kFloat:
    case ConfigNode::Kind::kDate:
      return "float " + node.text + at;
  }
  return "";
}

std::string show_documents(const std::string& text) {
  const auto documents = parse_yaml(text);
  if (!documents) {
    return "error " + std::to_string(documents.error().position.line) + ":" +
           std::to_string(documents.error().position.column) + " " + documents.error().message;
  }
  std::string out;
  for (const ConfigNode& document : *documents) out += (out.empty() ? "" : " | ") + show(document);
  return out;
}

TEST(YamlTree, ReadsTheKindsOfPlainScalars) {
  EXPECT_EQ(show_documents("a: 443\nb: \"443\"\nc: true\nd: ~\ne:\nf: 1.5\ng: -3\nh: 1.2.3.4\n"),
            "{a=443@1:4 b=\"443\"@2:4 c=true@3:4 d=null@4:4 e=null@6:1 f=float 1.5@6:4 g=-3@7:4 h=\"1.2.3.4\"@8:4}");
}

TEST(YamlTree, TakesOddNumbersAsText) {
  EXPECT_EQ(show_documents("[0443, 0x1bb, 99999999999999999999, +5, yes]"),
            "[\"0443\"@1:2 \"0x1bb\"@1:8 \"99999999999999999999\"@1:15 \"+5\"@1:37 \"yes\"@1:41]");
}

TEST(YamlTree, ReadsTablesListsAndJson) {
  EXPECT_EQ(show_documents("a:\n  - b: x\n    c: [y, {d: z}]\n"), "{a=[{b=\"x\"@2:8 c=[\"y\"@3:9 {d=\"z\"@3:16}]}]}");
  EXPECT_EQ(show_documents("{\"a\": [1, \"b\"], \"c\": null}"), "{a=[1@1:8 \"b\"@1:11] c=null@1:22}");
}

TEST(YamlTree, ReadsEveryDocumentAndLeavesEmptyOnesOut) {
  EXPECT_EQ(show_documents("---\na: b\n---\n---\nc: d\n"), "{a=\"b\"@2:4} | {c=\"d\"@5:4}");
  EXPECT_EQ(show_documents(""), "");
}

TEST(YamlTree, KeepsAKeyThatIsThereTwice) { EXPECT_EQ(show_documents("a: x\na: y\n"), "{a=\"x\"@1:4 a=\"y\"@2:4}"); }

TEST(YamlTree, RefusesAliasesWhichStandForAnySize) {
  EXPECT_THAT(show_documents("a: &x [1]\nb: *x\n"), HasSubstr("error 2:4 an alias"));
  EXPECT_THAT(show_documents("a: &x {b: 1}\nc:\n  <<: *x\n"), HasSubstr("error 3:7 an alias"));
}

TEST(YamlTree, RefusesWhatIsNoYamlTooDeepOrTooLarge) {
  EXPECT_THAT(show_documents("a: [\n"), HasSubstr("this is no YAML"));
  EXPECT_THAT(show_documents("a: b: c\n"), HasSubstr("error 1:"));
  EXPECT_THAT(show_documents("? [a]\n: b\n"), HasSubstr("a key is a list"));
  EXPECT_THAT(show_documents(std::string(33, '[') + std::string(33, ']')), HasSubstr("more than 32 tables and lists"));
  EXPECT_THAT(show_documents(std::string(32, '[') + std::string(32, ']')), HasSubstr("[["));
  EXPECT_THAT(show_documents(std::string(100'000, '[')), HasSubstr("error "));
  EXPECT_THAT(show_documents(std::string(kMaxConfigBytes + 1, ' ')), HasSubstr("at most 1048576"));
  std::string many;
  for (std::size_t i = 0; i <= kMaxYamlDocuments; ++i) many += "---\na\n";
  EXPECT_THAT(show_documents(many), HasSubstr("more than 1000 documents"));
}

}  // namespace
}  // namespace namewall::agent
