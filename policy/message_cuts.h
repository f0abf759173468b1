// What is taken out of a DNS message whose names are compressed. Everything else is changed in place, at its old
// offset; at the end the rest closes up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy/record_walk.h"

namespace namewall {

class MessageCuts {
 public:
  bool empty() const { return cuts_.empty(); }
  // In the order of the message; nothing twice.
  void add(std::size_t from, std::size_t to);
  std::size_t removed() const { return cuts_.empty() ? 0 : cuts_.back().before_end; }  // bytes
  // Turns every pointer of a record of `message`, whose copy `out` is, to where its target will be. Pointers lead
  // backwards, so that all cuts in front of a target are known when its record is read. Names in record data are those
  // of the types that may have compressed ones (RFC 1035, and RFC 3597 section 4). False: a target is taken out, or a
  // name does not parse.
  bool move_pointers(std::span<const std::uint8_t> message, const RecordPlace& place,
                     std::vector<std::uint8_t>& out) const;
  void close_up(std::vector<std::uint8_t>& message) const;  // not when empty()

 private:
  struct Cut {
    std::size_t from, to;
    std::size_t before_end;  // bytes taken out up to `to`
  };
  // The offset of `at` in the closed-up message; nullopt: it is taken out.
  std::optional<std::size_t> moved(std::size_t at) const;
  bool move_pointer(std::span<const std::uint8_t> message, std::size_t at, std::size_t end,
                    std::vector<std::uint8_t>& out) const;

  std::vector<Cut> cuts_;
};

}  // namespace namewall
