-- Sends the lines of a file in turn; args: the file, the mean pause of a connection in ms, and an
-- API key or nothing.
local bodies, position, pause = {}, 0, 0

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  if args[3] and args[3] ~= "" then headers["X-API-Key"] = args[3] end
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = wrk.format("POST", nil, headers, line)
  end
  pause = tonumber(args[2])
end

function request()
  position = position % #bodies + 1
  return bodies[position]
end

function delay()
  if pause == 0 then return 0 end
  return math.random(0, 2 * pause)
end

function done(summary, latency, requests)
  local wrong = summary.errors
  io.write(string.format('\n{"per_second": %f, "p50": %f, "p99": %f, "failed": %d}\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout))
end
