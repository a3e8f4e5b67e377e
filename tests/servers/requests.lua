-- Sends the requests of a file in turn, and tells the outcome as one line of JSON.
--
--   wrk -s requests.lua URL -- FILE NUMBER
--
-- In the file a NUL comes behind each request; ten times @ in a request stand for a number of ten digits, which grows
-- from NUMBER on.
local heads, tails = {}, {}
local count, at, number = 0, 0, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   number = tonumber(arguments[2])
   for request in file:read("*a"):gmatch("[^%z]+") do
      count = count + 1
      local first, last = request:find("@@@@@@@@@@", 1, true)
      if first then
         heads[count], tails[count] = request:sub(1, first - 1), request:sub(last + 1)
      else
         heads[count], tails[count] = request, false
      end
   end
   file:close()
end

function request()
   at = at % count + 1
   local tail = tails[at]
   if not tail then
      return heads[at]
   end
   number = number + 1
   return heads[at] .. string.format("%010d", number) .. tail
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50": %.3f, "p95": %.3f, "p99": %.3f, "refused": %d, "broken": %d}\n',
      summary.requests,
      summary.duration / 1e6,
      latency:percentile(50) / 1e3,
      latency:percentile(95) / 1e3,
      latency:percentile(99) / 1e3,
      errors.status,
      errors.connect + errors.read + errors.write + errors.timeout
   ))
end
