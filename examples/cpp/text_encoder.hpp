// Vectors of texts by text.onnx, the graph with the tokenizer inside.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

class TextEncoder {
 public:
  // Opens a bundle's text.onnx, which finds model.onnx_data beside it.
  explicit TextEncoder(const std::filesystem::path& bundle)
      : session_(env_, (bundle / "onnx" / "text.onnx").c_str(), Options()), limit_(BytesThatCount(session_)) {}

  // Gives the graph the texts' UTF-8 bytes, end to end, and where each text starts.
  std::vector<Ort::Value> Run(const std::vector<std::string>& texts, const std::vector<const char*>& outputs) {
    std::string utf8;
    std::vector<std::int64_t> offsets;
    for (const auto& text : texts) {
      offsets.push_back(static_cast<std::int64_t>(utf8.size()));
      utf8.append(text, 0, limit_);
    }
    const auto bytes_length = static_cast<std::int64_t>(utf8.size());
    const auto texts_length = static_cast<std::int64_t>(offsets.size());
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const std::array<const char*, 2> names{"utf8", "offsets"};
    const std::array<Ort::Value, 2> inputs{
        Ort::Value::CreateTensor(memory, reinterpret_cast<std::uint8_t*>(utf8.data()), utf8.size(), &bytes_length, 1),
        Ort::Value::CreateTensor(memory, offsets.data(), offsets.size(), &texts_length, 1)};
    return session_.Run(Ort::RunOptions{nullptr}, names.data(), inputs.data(), inputs.size(), outputs.data(),
                        outputs.size());
  }

  // One vector for each text.
  std::vector<std::vector<float>> Embed(const std::vector<std::string>& texts) {
    return Rows(Run(texts, {"sentence_embedding"}).front());
  }

  // The rows of a float32 [N, dim] tensor.
  static std::vector<std::vector<float>> Rows(const Ort::Value& tensor) {
    const auto shape = tensor.GetTensorTypeAndShapeInfo().GetShape();
    const float* row = tensor.GetTensorData<float>();
    std::vector<std::vector<float>> rows;
    for (std::int64_t i = 0; i < shape[0]; ++i, row += shape[1]) rows.emplace_back(row, row + shape[1]);
    return rows;
  }

 private:
  // On Linux and macOS onnxruntime sends telemetry from version 1.29 on, unless this is set before its environment is
  // made.
  static Ort::Env WithoutTelemetry() {
#ifndef _WIN32
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
#endif
    return Ort::Env(ORT_LOGGING_LEVEL_WARNING, "text-encoder");
  }

  static Ort::SessionOptions Options() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);  // the graph's operations are too small to share
    options.DisableMemPattern();      // it keeps a plan for each size of input that it sees: memory would grow
    return options;
  }

  // Four bytes for each of the characters that the graph reads of a text.
  static std::size_t BytesThatCount(const Ort::Session& session) {
    const auto metadata = session.GetModelMetadata();
    Ort::AllocatorWithDefaultOptions allocator;
    std::size_t limit = 4;
    for (const char* key : {"max_length", "median_token_length"}) {
      const std::string value = metadata.LookupCustomMetadataMapAllocated(key, allocator).get();
      if (value == "null") return std::string::npos;  // a text has no limit
      limit *= std::stoul(value);
    }
    return limit;
  }

  Ort::Env env_ = WithoutTelemetry();
  Ort::Session session_;
  std::size_t limit_;  // bytes of a text that may count; the graph cuts the rest off, but slowly
};
