// HostEnforcer: opening, adopting what an earlier process left, and lifting everything.
#include <algorithm>
#include <map>

#include "nft/cgroup_paths.h"
#include "nft/conntrack.h"
#include "nft/host_state.h"

namespace namewall::nft {
namespace {

// Of sets that come from images: what an adopted workload is held by until its policy is known.
bool is_of_image(SetId set) {
  switch (set) {
    case SetId::kAudited:
    case SetId::kWidePorts1:
    case SetId::kWidePorts2:
    case SetId::kWidePorts3:
    case SetId::kWidePorts4:
    case SetId::kFixed4:
    case SetId::kFixed6:
    case SetId::kClosed4:
    case SetId::kClosed6:
    case SetId::kListen:
    case SetId::kLoopbackAny:
    case SetId::kLoopbackOwn:
    case SetId::kResolvers4:
    case SetId::kResolvers6:
      return true;
    default:
      return false;
  }
}

bool is_learned(SetId set) { return set >= SetId::kLearned4 && set <= SetId::kWide4_6; }

// What is found in the table, by the cgroup of its keys.
struct Found {
  std::optional<WorkloadTag> tag;
  bool is_enforced = false, is_parent = false;
  AskerToken token = 0;
  std::vector<Element> of_image, learned;
};

std::optional<ProxyPlace> place_of(std::uint64_t cookie, const Element& element) {
  const auto key = decode_key(element.set, element.key);
  if (!key || element.data.size() < 2) return std::nullopt;
  ProxyPlace place;
  place.netns_cookie = cookie;
  place.resolver = {key->address, Port{key->port}};
  place.protocol = key->ip_protocol == 6 ? Protocol::kTcp : Protocol::kUdp;
  place.port = Port{static_cast<std::uint16_t>(element.data[0] << 8 | element.data[1])};
  return place;
}

// The path of a tag may have been cut; a cgroup that is another one now is gone.
std::optional<std::string> find_path(const std::string& mount, std::uint64_t id, const std::string& tagged) {
  if (!tagged.empty() && find_cgroup_id(mount, tagged) == id) return tagged;
  std::vector<std::string> open{"/"};
  if (find_cgroup_id(mount, "/") == id) return "/";
  while (!open.empty()) {
    const std::string path = std::move(open.back());
    open.pop_back();
    for (auto& [below, child] : child_cgroups(mount, path)) {
      if (child == id) return below;
      open.push_back(std::move(below));
    }
  }
  return std::nullopt;
}

void take_grant(WorkloadModel& workload, const Element& element, BootTime now) {
  const auto key = decode_key(element.set, element.key);
  if (!key) return;
  HeldPart part;
  part.part.set = element.set;
  part.part.ip_protocol = key->ip_protocol;
  part.part.port = key->port;
  part.part.comment_hash = 0;
  part.part.deadline = element.timeout ? now + element.expires.value_or(*element.timeout) : kNever;
  part.set_at = element.timeout ? BootTime{part.part.deadline.since_boot - *element.timeout} : now;
  workload.held[key->address].parts.push_back(part);
  const auto comment = parse_grant_comment(element.comment);
  const auto name = comment ? DomainName::parse(comment->name) : Result<DomainName>(fail(ErrorKind::kInvalid, ""));
  if (!name) return;
  (void)workload.grants.learn({{*name, key->address, part.part.deadline, 0, NW_REASON_NONE}}, now);
}

}  // namespace

Result<HostEnforcer> HostEnforcer::open(const HostOptions& options) {
  auto mount = find_cgroup_mount();
  if (!mount) return fail(ErrorKind::kUnsupported, mount.error().message());
  auto socket = NftSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  const auto abilities = options.abilities ? Result<NftAbilities>(*options.abilities) : probe_abilities(*socket);
  if (!abilities) return tl::unexpected(abilities.error());
  auto state = std::make_unique<State>(options, std::move(*mount), *abilities);
  state->tables.push_back(
      std::make_unique<NamespaceTable>(options.own_netns, std::move(*socket), *abilities, options.table));
  if (auto conntrack = open_conntrack_socket_here()) state->own().conntrack = std::move(*conntrack);
  const auto found = state->own().find();
  if (!found) return tl::unexpected(found.error());
  if (*found) {
    if (auto adopted = state->adopt(); !adopted) return tl::unexpected(adopted.error());
  }
  return HostEnforcer(std::move(state));
}

Result<void> HostEnforcer::State::open_log(NamespaceTable& table) {
  if (table.log || &table != tables.front().get()) return {};
  auto socket = LogReader::open_socket_here(options.log_group);
  if (!socket) return tl::unexpected(socket.error());
  table.log = std::make_unique<LogReader>(std::move(*socket));
  return {};
}

Result<void> HostEnforcer::State::adopt() {
  NamespaceTable& table = own();
  const BootTime now = boot_now();
  std::map<std::uint64_t, Found> found;
  std::vector<Element> pairs;
  const auto take = [&](const Element& element) {
    if (element.set == SetId::kPlaces4 || element.set == SetId::kPlaces6) {
      const auto place = place_of(table.cookie(), element);
      if (place && std::find(places.begin(), places.end(), *place) == places.end()) places.push_back(*place);
      return;
    }
    if (element.set == SetId::kOwnPairs) {
      pairs.push_back(element);
      return;
    }
    const auto cgroup = decode_cgroup(element.set, element.key);
    if (!cgroup) return;
    Found& of = found[*cgroup];
    if (element.set == SetId::kEnforced || element.set == SetId::kParents) {
      (element.set == SetId::kEnforced ? of.is_enforced : of.is_parent) = true;
      if (const auto tag = parse_workload_tag(element.comment)) of.tag = *tag;
    } else if (element.set == SetId::kTokens) {
      std::uint32_t mark = 0;
      if (element.data.size() >= sizeof(mark)) std::memcpy(&mark, element.data.data(), sizeof(mark));
      of.token = static_cast<AskerToken>(mark >> kTokenShift);
    } else if (is_of_image(element.set)) {
      of.of_image.push_back(element);
    } else if (is_learned(element.set)) {
      of.learned.push_back(element);
    }
  };
  bool is_whole = true;
  for (const SetShape& shape : all_sets()) {
    if (shape.is_dynamic) continue;
    const auto listed = list_elements(table.socket(), shape.id, take, table.name());
    if (!listed && listed.error().kind != ErrorKind::kNotFound) return listed;
    is_whole = is_whole && listed.has_value();
  }

  ElementChanges leftovers;
  for (auto& [id, of] : found) {
    const auto path = of.is_enforced || of.is_parent
                          ? find_path(cgroup_mount, id, of.tag ? of.tag->cgroup : std::string())
                          : std::nullopt;
    if (!path) {
      const auto remove = [&](SetId set) {
        Element element;
        element.set = set;
        element.key = encode_cgroup(id);
        leftovers.remove.push_back(std::move(element));
      };
      if (of.is_enforced) remove(SetId::kEnforced);
      if (of.is_parent) remove(SetId::kParents);
      if (of.token != 0) remove(SetId::kTokens);
      leftovers.remove.insert(leftovers.remove.end(), of.of_image.begin(), of.of_image.end());
      leftovers.destroy.insert(leftovers.destroy.end(), of.learned.begin(), of.learned.end());
      continue;
    }
    const bool is_template = of.is_parent && of.tag && of.tag->is_template;
    if (of.is_parent && !is_template) {
      guards.emplace(id, *path);
      parent_depths.insert(depth_of(*path));
    }
    if (!of.is_enforced && !is_template) continue;
    auto workload = std::make_unique<WorkloadModel>(kAdoptedAddresses);
    workload->cgroup_id = id;
    workload->cgroup = *path;
    workload->depth = depth_of(*path);
    workload->workload_id = of.tag ? of.tag->workload_id : next_workload_id;
    workload->generation = of.tag ? of.tag->generation : 1;
    workload->image_hash = of.tag ? of.tag->image_hash : 1;  // of no policy: it will be replaced
    workload->is_template = is_template;
    workload->is_denied = workload->image_hash == 0;
    workload->is_strict = true;
    workload->token = of.token;
    next_workload_id = std::max(next_workload_id, workload->workload_id + 1);
    last_token = std::max(last_token, workload->token);
    workload->adopted = std::move(of.of_image);
    workload->installed = workload->fixed_elements();
    for (const Element& element : of.learned) take_grant(*workload, element, now);
    for (auto& [address, held] : workload->held) sort_parts(held.parts);
    adoption.live_grants += static_cast<std::uint32_t>(workload->grants.live_count(now));
    ++adoption.workloads;
    enter(std::move(workload));
  }
  for (Element& pair : pairs) {
    const auto key = decode_key(pair.set, pair.key);
    const auto sender = key ? tokens.find(static_cast<AskerToken>(key->mark >> kTokenShift)) : tokens.end();
    (sender == tokens.end() ? leftovers.remove : find(sender->second)->installed).push_back(std::move(pair));
  }
  for (const auto& [id, workload] : workloads) {
    const WorkloadModel* of = workload->is_template ? nullptr : template_of(workload->cgroup);
    if (of == nullptr) continue;
    workload->template_id = of->cgroup_id;
    workload->has_own_policy = workload->image_hash != of->image_hash;
  }

  const auto is_other = is_whole ? table.adopt(plan_for(table)) : Result<bool>(fail(ErrorKind::kNotFound, ""));
  if (is_other) {
    adoption.programs_replaced = *is_other;
    if (!leftovers.empty()) (void)table.change(leftovers, table.plan());
  } else {
    if (is_other.error().kind != ErrorKind::kNotFound) return tl::unexpected(is_other.error());
    noticed.push_back({"sets of table inet " + table.name() + " were missing", true});
    if (auto done = rebuild(table); !done) return done;
  }
  if (auto opened = open_log(table); !opened)
    noticed.push_back({"refusals are not reported: " + opened.error().message(), false});
  read_refused();
  for (const auto& [id, workload] : workloads) workload->told_left_out = workload->refused;
  return {};
}

Result<std::vector<std::string>> HostEnforcer::teardown_all(const HostOptions& options) {
  auto socket = NftSocket::open();
  if (!socket) return tl::unexpected(socket.error());
  NamespaceTable table(options.own_netns, std::move(*socket), NftAbilities{}, options.table);
  const auto found = table.find();
  if (!found) return tl::unexpected(found.error());
  std::vector<std::string> lines;
  if (!*found) return lines;
  (void)list_elements(
      table.socket(), SetId::kEnforced,
      [&](const Element& element) {
        const auto tag = parse_workload_tag(element.comment);
        if (tag) lines.push_back("lifted enforcement of " + tag->cgroup);
      },
      options.table);
  if (auto done = table.remove(); !done) return tl::unexpected(done.error());
  lines.push_back("removed the table inet " + options.table);
  return lines;
}

}  // namespace namewall::nft
