// SPDX-License-Identifier: Apache-2.0
#include "lab/programs/curl.h"
#include "lab/hosts/process.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace trap::lab {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// curl ends by itself at the request's deadline; this is for a curl that does not.
constexpr milliseconds grace{5000};

double number(const json& report, const char* key) {
  const auto found = report.find(key);
  return found != report.end() && found->is_number() ? found->get<double>() : 0;
}

std::string text_of(const json& report, const char* key) {
  const auto found = report.find(key);
  return found != report.end() && found->is_string() ? found->get<std::string>() : "";
}

Response parse(const Finished& finished, const Request& request) {
  Response response;
  response.exit_code = finished.timed_out ? curl_timed_out : finished.exit_code;
  const json report = json::parse(finished.output, nullptr, false);
  if (!report.is_object()) {
    response.error = finished.errors.empty() ? "curl said nothing" : finished.errors;
    return response;
  }
  response.http_status = static_cast<int>(number(report, "http_code"));
  response.connect_s = number(report, "time_connect");
  response.total_s = number(report, "time_total");
  response.bytes = static_cast<std::uint64_t>(
      number(report, request.upload.empty() ? "size_download" : "size_upload"));
  response.remote_address = text_of(report, "remote_ip");
  response.error = text_of(report, "errormsg");
  return response;
}

} // namespace

std::string Response::text() const {
  if (exit_code == 0)
    return fmt::format("{}, {} bytes in {:.3f} s", http_status, bytes, total_s);
  return fmt::format("curl exit {}: {}", exit_code, error.empty() ? "no reason given" : error);
}

Result<Transfer> Transfer::start(const Host& host, const Request& request) {
  static unsigned serial = 0;
  const std::filesystem::path body = host.directory() / fmt::format("body-{}", ++serial);
  std::vector<std::string> arguments = {
      "curl",
      "--silent",
      "--globoff",
      "--noproxy",
      "*",
      "--no-keepalive",
      "--output",
      body.string(),
      "--write-out",
      "%{json}",
      "--max-time",
      fmt::format("{:.3f}", static_cast<double>(scale_timeout(request.deadline).count()) / 1000)};
  if (!request.upload.empty())
    arguments.insert(arguments.end(),
                     {"--upload-file", request.upload.string(), "--header", "Expect:"});
  if (!request.local_address.empty())
    arguments.insert(arguments.end(), {"--interface", request.local_address});
  arguments.push_back(request.url);
  auto process = Process::start(host.command(arguments));
  if (!process)
    return process.error();
  return Transfer{std::move(*process), request, body};
}

Result<Response> Transfer::finish() {
  auto finished = process_.wait(request_.deadline + grace);
  if (!finished)
    return finished.error();
  Response response = parse(*finished, request_);
  response.body = body_;
  return response;
}

std::uint64_t Transfer::bytes_so_far() const {
  std::error_code absent;
  const auto bytes = std::filesystem::file_size(body_, absent);
  return absent ? 0 : bytes;
}

Result<Response> fetch(const Host& host, const Request& request) {
  auto transfer = Transfer::start(host, request);
  if (!transfer)
    return transfer.error();
  return transfer->finish();
}

} // namespace trap::lab
