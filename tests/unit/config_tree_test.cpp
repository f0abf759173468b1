#include "policy/config_tree.h"

#include <gtest/gtest.h>

namespace namewall {
namespace {

std::string position_text(Position position) {
  return std::to_string(position.line) + ":" + std::to_string(position.column);
}

// Every key and value with its position, in file order.
void describe_into(const ConfigNode& node, std::string& out) {
  out += position_text(node.position);
  switch (node.kind) {
    case ConfigNode::Kind::kString:
      out += " '" + node.text + "'";
      break;
    case ConfigNode::Kind::kInteger:
      out += " " + std::to_string(node.integer);
      break;
    default:
      out += " " + std::string(describe(node.kind));
  }
  out += "\n";
  for (const ConfigNode& item : node.items) describe_into(item, out);
  for (const ConfigEntry& entry : node.entries) {
    out += position_text(entry.position) + " " + entry.key + " = ";
    describe_into(entry.value, out);
  }
}

std::string describe_document(std::string_view text, Format format) {
  const auto tree = parse_config(text, format);
  if (!tree) return position_text(tree.error().position) + " error: " + tree.error().message;
  std::string out;
  describe_into(*tree, out);
  return out;
}

TEST(ConfigTree, KnowsWhereEveryTomlValueIs) {
  EXPECT_EQ(describe_document("name = \"a\"  # comment\n"
                              "\tports = [ 1,\n"
                              "   \"two\", [3.5] ]\n"
                              "inline = { yes = true }\n"
                              "[dns]\n"
                              "when = 2026-01-01\n",
                              Format::kToml),
            "1:1 a table\n"
            "1:1 name = 1:8 'a'\n"
            "2:2 ports = 2:10 a list\n"
            "2:12 1\n"
            "3:4 'two'\n"
            "3:11 a list\n"
            "3:12 a number with a fraction\n"
            "4:1 inline = 4:10 a table\n"
            "4:12 yes = 4:18 a boolean\n"
            "5:2 dns = 5:1 a table\n"
            "6:1 when = 6:8 a date or time\n");
}

TEST(ConfigTree, KnowsWhereEveryJsonValueIs) {
  EXPECT_EQ(describe_document("{ \"name\": \"a\\\"]\",\n"
                              "\t\"ports\" : [1 ,\n"
                              "   \"two\",[-3.5e1], {}],\"x\":null,\n"
                              "  \"inline\": {\"yes\":true}\n"
                              "}\n",
                              Format::kJson),
            "1:1 a table\n"
            "1:3 name = 1:11 'a\"]'\n"
            "2:2 ports = 2:12 a list\n"
            "2:13 1\n"
            "3:4 'two'\n"
            "3:10 a list\n"
            "3:11 a number with a fraction\n"
            "3:20 a table\n"
            "3:24 x = 3:28 null\n"
            "4:3 inline = 4:13 a table\n"
            "4:14 yes = 4:20 a boolean\n");
}

TEST(ConfigTree, CountsColumnsInCharacters) {
  EXPECT_EQ(describe_document("a = [\"b\xc3\xbc"
                              "cher\", 1]",
                              Format::kToml),
            "1:1 a table\n1:1 a = 1:5 a list\n1:6 'b\xc3\xbc"
            "cher'\n1:16 1\n");
  EXPECT_EQ(describe_document("{\"a\":[\"b\xc3\xbc"
                              "cher\", 1]}",
                              Format::kJson),
            "1:1 a table\n1:2 a = 1:6 a list\n1:7 'b\xc3\xbc"
            "cher'\n1:17 1\n");
}

TEST(ConfigTree, PassesOverAByteOrderMark) {
  EXPECT_EQ(describe_document("\xef\xbb\xbf{\"a\":1}", Format::kJson), "1:1 a table\n1:2 a = 1:6 1\n");
  EXPECT_EQ(describe_document("\xef\xbb\xbf"
                              "a=1",
                              Format::kToml),
            "1:1 a table\n1:1 a = 1:3 1\n");
}

TEST(ConfigTree, KeepsBothOfAJsonKeyWrittenTwice) {
  EXPECT_EQ(describe_document("{\"a\":1,\"a\":2}", Format::kJson), "1:1 a table\n1:2 a = 1:6 1\n1:8 a = 1:12 2\n");
}

TEST(ConfigTree, SaturatesLargeJsonIntegers) {
  EXPECT_EQ(describe_document("{\"a\":18446744073709551615}", Format::kJson),
            "1:1 a table\n1:2 a = 1:6 9223372036854775807\n");
}

TEST(ConfigTree, SaysWhereTheSyntaxIsWrong) {
  EXPECT_TRUE(describe_document("a = 1\nb = [1,\n", Format::kToml).starts_with("2:9 error: not valid TOML: "));
  EXPECT_TRUE(describe_document("a = 1\na = 2\n", Format::kToml).starts_with("2:5 error: not valid TOML: "));
  EXPECT_TRUE(describe_document("{\"a\": 1,\n \"b\": x}", Format::kJson)
                  .starts_with("2:7 error: not valid JSON: syntax error while parsing value"));
  EXPECT_TRUE(describe_document("{\"a\": 1", Format::kJson).find(" error: not valid JSON: syntax error") !=
              std::string::npos);
  EXPECT_TRUE(describe_document("{\"a\": 1e999}", Format::kJson).find("error: not valid JSON: ") != std::string::npos);
}

TEST(ConfigTree, RefusesABracketTooMuchInATomlHeader) {
  EXPECT_EQ(describe_document("[[[a]]]\n", Format::kToml).substr(0, 27), "1:3 error: not valid TOML: ");
}

// Some of them run into undefined behaviour in toml++ as it comes: the sanitizer's build tells.
TEST(ConfigTree, RefusesOddCharactersOutsideOfTomlStrings) {
  for (char32_t c = 0xfcff; c >= 0xa0; c -= 31) {
    if (c >= 0xd800 && c <= 0xdfff) continue;
    std::string text = "name";
    if (c >= 0x800) {
      text += {static_cast<char>(0xe0 | (c >> 12)), static_cast<char>(0x80 | ((c >> 6) & 0x3f))};
    } else {
      text += static_cast<char>(0xc0 | (c >> 6));
    }
    text += static_cast<char>(0x80 | (c & 0x3f));
    ASSERT_FALSE(parse_config(text, Format::kToml)) << static_cast<unsigned>(c);
  }
}

TEST(ConfigTree, WantsATableAtTheRoot) {
  EXPECT_EQ(describe_document(" [1]", Format::kJson), "1:2 error: the document is a list; accepted: a table, { ... }");
  EXPECT_EQ(describe_document("", Format::kToml), "1:1 a table\n");
  EXPECT_NE(describe_document("", Format::kJson).find("error"), std::string::npos);
}

std::string repeated(std::string_view part, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += part;
  return out;
}

TEST(ConfigTree, RefusesDeepNestingWithoutUsingTheStack) {
  EXPECT_NE(describe_document("{\"a\":" + repeated("[", 500'000), Format::kJson).find("nested more than 32 deep"),
            std::string::npos);
  EXPECT_NE(describe_document("a = " + repeated("[", 500'000), Format::kToml).find("error"), std::string::npos);
  EXPECT_NE(
      describe_document("a = " + repeated("[", 40) + repeated("]", 40), Format::kToml).find("nested more than 32 deep"),
      std::string::npos);
  EXPECT_NE(describe_document("a = " + repeated("{a=", 40) + "1" + repeated("}", 40), Format::kToml)
                .find("nested more than 32 deep"),
            std::string::npos);
}

TEST(ConfigTree, RefusesLongDottedTomlKeys) {
  for (const std::string& text : {repeated("a.", 500'000) + "a = 1", "[" + repeated("a.", 500'000) + "a]\n",
                                  repeated("\"a.b\" . ", 100'000) + "a = 1", "x = {" + repeated("a.", 1000) + "a = 1}",
                                  "s = '''\n'''" + std::string("\n") + repeated("a.", 1000) + "a = 1",
                                  "s = \"\\\"\"\n" + repeated("''.", 1000) + "a = 1"}) {
    EXPECT_NE(describe_document(text, Format::kToml).find("error: a dotted key has more than 32 parts"),
              std::string::npos)
        << text.substr(0, 40);
  }
}

TEST(ConfigTree, CountsNoDotsInStringsAndComments) {
  const std::string dots = repeated(".", 100);
  for (const std::string& text :
       {"a = \"" + dots + "\\\"" + dots + "\"", "a = '" + dots + "\\'", "a = 1 # " + dots,
        "a = \"\"\"" + dots + "\"\" " + dots + "\"\"\"\"", "a = '''" + dots + "\n''" + dots + "'''",
        "a = [\"a.b.c\", " + repeated("\"a.b.c\", ", 40) + "]"}) {
    EXPECT_EQ(describe_document(text, Format::kToml).find("error"), std::string::npos) << text;
  }
}

TEST(ConfigTree, RefusesLargeFiles) {
  EXPECT_EQ(describe_document("#" + std::string(kMaxConfigBytes, ' '), Format::kToml),
            "0:0 error: the file has 1048577 bytes; accepted: at most 1048576");
}

}  // namespace
}  // namespace namewall
