#include "agent/proxy/stream_frames.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace namewall::agent {
namespace {

using ::testing::ElementsAre;
using Bytes = std::vector<std::uint8_t>;

Bytes frame_of(std::size_t length, std::uint8_t fill) {
  Bytes frame{static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)};
  frame.resize(2 + length, fill);
  return frame;
}

// Feeds the bytes in parts of `part`, taking messages whenever they are whole.
std::vector<Bytes> read_in_parts(FrameReader& reader, const Bytes& stream, std::size_t part) {
  std::vector<Bytes> messages;
  for (std::size_t at = 0; at < stream.size();) {
    const auto room = reader.room();
    EXPECT_FALSE(room.empty());
    const std::size_t count = std::min({part, room.size(), stream.size() - at});
    if (count == 0) break;
    std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), count, room.begin());
    reader.added(count);
    at += count;
    while (const auto message = reader.next()) messages.emplace_back(message->begin(), message->end());
    if (reader.is_broken()) break;
  }
  return messages;
}

TEST(FrameReader, FindsTheMessagesHoweverTheyAreCut) {
  Bytes stream;
  std::vector<Bytes> expected;
  for (const std::size_t length : {std::size_t{17}, std::size_t{0}, std::size_t{512}, FrameReader::kMaxMessage,
                                   std::size_t{1}, FrameReader::kMaxMessage, FrameReader::kMaxMessage}) {
    const auto fill = static_cast<std::uint8_t>(expected.size() + 1);
    const Bytes frame = frame_of(length, fill);
    stream.insert(stream.end(), frame.begin(), frame.end());
    expected.emplace_back(length, fill);
  }
  for (std::size_t part : {1u, 2u, 3u, 100u, 4097u, 100000u}) {
    FrameReader reader;
    EXPECT_EQ(read_in_parts(reader, stream, part), expected) << part;
    EXPECT_TRUE(reader.is_empty());
  }
}

TEST(FrameReader, KeepsAPartOfAMessageForLater) {
  FrameReader reader;
  EXPECT_TRUE(read_in_parts(reader, {0, 3, 'a', 'b'}, 10).empty());
  EXPECT_FALSE(reader.is_empty());
  EXPECT_THAT(read_in_parts(reader, {'c', 0}, 10), ElementsAre(Bytes{'a', 'b', 'c'}));
  EXPECT_FALSE(reader.is_empty());
}

TEST(FrameReader, IsBrokenByAMessageThatNoQuestionCanBe) {
  FrameReader reader;
  Bytes stream = frame_of(5, 1);
  const Bytes long_frame = frame_of(FrameReader::kMaxMessage + 1, 2);
  stream.insert(stream.end(), long_frame.begin(), long_frame.end());
  EXPECT_EQ(read_in_parts(reader, stream, 100000).size(), 1u);
  EXPECT_TRUE(reader.is_broken());
  EXPECT_FALSE(reader.next());
}

TEST(FrameWriter, SendsWhatWasAddedInOrderHoweverItIsTaken) {
  for (const std::size_t part : {1u, 7u, 70000u}) {
    FrameWriter writer;
    Bytes expected, sent;
    for (const std::size_t length : {std::size_t{0}, std::size_t{9}, std::size_t{65535}, std::size_t{300}}) {
      writer.add(Bytes(length, 7));
      const Bytes frame = frame_of(length, 7);
      expected.insert(expected.end(), frame.begin(), frame.end());
      const auto unsent = writer.unsent();
      const std::size_t count = std::min(part, unsent.size());
      sent.insert(sent.end(), unsent.begin(), unsent.begin() + static_cast<std::ptrdiff_t>(count));
      writer.sent(count);
    }
    while (!writer.unsent().empty()) {
      const auto unsent = writer.unsent();
      const std::size_t count = std::min<std::size_t>(1000, unsent.size());
      sent.insert(sent.end(), unsent.begin(), unsent.begin() + static_cast<std::ptrdiff_t>(count));
      writer.sent(count);
    }
    EXPECT_EQ(sent, expected) << part;
  }
}

}  // namespace
}  // namespace namewall::agent
