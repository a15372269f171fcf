-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
-- Wireshark and tshark read TRAP (docs/protocol.md 3): both encodings of the TCP option, all types,
-- and the segments that TRAP refuses. Filter for "trap", "trap.type == 3", "trap.malformed".
-- Try it: tshark -X lua_script:trap.lua -r FILE -Y trap

local reserved_kind, experimental_kind, experiment_id = 0x56, 253, 0x5452
local version = 1
local end_of_options, no_operation = 0, 1

local types = {
  [1] = "OFFER", [2] = "ACCEPT", [3] = "REDIRECT", [4] = "TICKET", [5] = "ANNOUNCE",
  [6] = "CONSENT",
}
-- Bytes of the body after version, type and flags, without an address; types that carry one.
local body_bytes = { [1] = 0, [2] = 0, [3] = 16, [4] = 12, [5] = 16, [6] = 4 }
local carries_address = { [3] = true, [5] = true }

local trap = Proto("trap", "TRAP")

local fields = {
  kind = ProtoField.uint8("trap.kind", "Kind", base.DEC,
    { [reserved_kind] = "reserved", [experimental_kind] = "shared experimental" }),
  version = ProtoField.uint8("trap.version", "Version", base.DEC, nil, 0xf0),
  type = ProtoField.uint8("trap.type", "Type", base.DEC, types, 0x0f),
  flags = ProtoField.uint8("trap.flags", "Flags", base.HEX),
  port = ProtoField.uint16("trap.port", "Backend port"),
  lifetime = ProtoField.uint16("trap.lifetime", "Lifetime in s"),
  ticket = ProtoField.bytes("trap.ticket", "Ticket"),
  ticket_epoch = ProtoField.uint8("trap.ticket.epoch", "Low byte of the epoch"),
  ticket_tag = ProtoField.uint8("trap.ticket.tag", "Tag"),
  ticket_expiry = ProtoField.uint16("trap.ticket.expiry", "Expiry in units of 4 s"),
  ticket_mac = ProtoField.bytes("trap.ticket.mac", "MAC"),
  backend = ProtoField.ipv4("trap.backend", "Backend"),
  backend6 = ProtoField.ipv6("trap.backend6", "Backend"),
  scope = ProtoField.uint8("trap.scope", "Scope"),
  tag = ProtoField.uint8("trap.tag", "Tag"),
  issued = ProtoField.uint32("trap.issued", "Issue time in Unix seconds"),
  mac = ProtoField.bytes("trap.mac", "MAC"),
  client = ProtoField.ipv4("trap.client", "Client"),
  client6 = ProtoField.ipv6("trap.client6", "Client"),
  consent = ProtoField.bytes("trap.consent", "Consent"),
  malformed = ProtoField.bool("trap.malformed", "Malformed"),
  duplicate = ProtoField.bool("trap.duplicate", "Duplicate"),
}
local listed = {}
for _, field in pairs(fields) do
  listed[#listed + 1] = field
end
trap.fields = listed

local is_malformed = ProtoExpert.new("trap.malformed.expert",
  "A TRAP option of no valid form, or options that do not parse: TRAP refuses the segment",
  expert.group.MALFORMED, expert.severity.WARN)
local is_duplicate = ProtoExpert.new("trap.duplicate.expert",
  "More than one TRAP option: TRAP refuses the segment",
  expert.group.PROTOCOL, expert.severity.WARN)
trap.experts = { is_malformed, is_duplicate }

local tcp_options = Field.new("tcp.options")
local ip_version = Field.new("ip.version")

-- The bytes before the version and type of a TRAP option; nil for another option.
local function header_bytes(area, at, length)
  local kind = area(at, 1):uint()
  if kind == reserved_kind then
    return 2
  end
  if kind == experimental_kind and length >= 4 and area(at + 2, 2):uint() == experiment_id then
    return 4
  end
  return nil
end

-- The TRAP options of an area, and whether all of its options parse up to its end or EOL.
local function walk(area)
  local found, at = {}, 0
  while at < area:len() do
    local kind = area(at, 1):uint()
    if kind == end_of_options then
      return found, true
    elseif kind == no_operation then
      at = at + 1
    else
      local length = at + 1 < area:len() and area(at + 1, 1):uint() or 0
      if length < 2 or at + length > area:len() then
        return found, false
      end
      local header = header_bytes(area, at, length)
      if header then
        found[#found + 1] = { option = area(at, length), header = header }
      end
      at = at + length
    end
  end
  return found, true
end

local function add_ticket(tree, range)
  local ticket = tree:add(fields.ticket, range)
  ticket:add(fields.ticket_epoch, range(0, 1))
  ticket:add(fields.ticket_tag, range(1, 1))
  ticket:add(fields.ticket_expiry, range(2, 2))
  ticket:add(fields.ticket_mac, range(4, 8))
end

local function add_address(tree, range, ipv4, ipv6)
  tree:add(range:len() == 4 and ipv4 or ipv6, range)
end

local add_body = {
  [3] = function(tree, body)
    tree:add(fields.port, body(0, 2))
    tree:add(fields.lifetime, body(2, 2))
    add_ticket(tree, body(4, 12))
    add_address(tree, body(16), fields.backend, fields.backend6)
  end,
  [4] = function(tree, body)
    add_ticket(tree, body(0, 12))
  end,
  [5] = function(tree, body)
    tree:add(fields.lifetime, body(0, 2))
    tree:add(fields.scope, body(2, 1))
    tree:add(fields.tag, body(3, 1))
    tree:add(fields.issued, body(4, 4))
    tree:add(fields.mac, body(8, 8))
    add_address(tree, body(16), fields.client, fields.client6)
  end,
  [6] = function(tree, body)
    tree:add(fields.consent, body(0, 4))
  end,
}

-- One TRAP option. Returns its name, or nil if it is malformed for this size of addresses.
local function add_option(tree, found, address_bytes)
  local option, at = found.option, found.header
  tree:add(fields.kind, option(0, 1))
  if option:len() < at + 2 then
    return nil
  end
  local version_and_type = option(at, 1):uint()
  local type = version_and_type % 16
  tree:add(fields.version, option(at, 1))
  tree:add(fields.type, option(at, 1))
  tree:add(fields.flags, option(at + 1, 1))
  local wanted = body_bytes[type]
  if wanted and carries_address[type] then
    wanted = wanted + address_bytes
  end
  local body = option:len() - at - 2
  if version_and_type - type ~= version * 16 or body ~= wanted then
    return nil
  end
  if add_body[type] then
    add_body[type](tree, option(at + 2, body))
  end
  return types[type]
end

local function add_area(area, tree, pinfo, address_bytes)
  local found, parses = walk(area)
  if #found == 0 and parses then
    return
  end
  local subtree = tree:add(trap, area)
  local names, sound = {}, parses
  for _, each in ipairs(found) do
    local name = add_option(subtree, each, address_bytes)
    sound = sound and name ~= nil
    names[#names + 1] = name or "?"
  end
  if #found > 1 then
    subtree:add(fields.duplicate, true):set_generated()
    subtree:add_proto_expert_info(is_duplicate)
  end
  if not sound then
    subtree:add(fields.malformed, true):set_generated()
    subtree:add_proto_expert_info(is_malformed)
  end
  if #names > 0 then
    subtree:append_text(", " .. table.concat(names, ", "))
    pinfo.cols.info:append(" [TRAP " .. table.concat(names, ", ") .. "]")
  end
end

function trap.dissector(_, pinfo, tree)
  local areas, versions = { tcp_options() }, { ip_version() }
  local address_bytes = #versions > 0 and versions[#versions].value == 4 and 4 or 16
  for _, area in ipairs(areas) do
    add_area(area.range, tree, pinfo, address_bytes)
  end
end

register_postdissector(trap)
