package example;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Prints vectors of texts: {@code Embed BUNDLE TEXT ...}
 *
 * <p>onnxruntime sends telemetry from version 1.29 on, unless ORT_DISABLE_TELEMETRY=1 is set before it is loaded. Java
 * cannot set its own environment: start the program with it.
 */
public final class Embed implements AutoCloseable {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession session;
  private final int limit; // Java chars of a text that may count; the graph cuts the rest off, but slowly.

  /** Opens a bundle's text.onnx, which finds model.onnx_data beside it. */
  public Embed(Path bundle) throws OrtException {
    try (var options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1); // The graph's operations are too small to share.
      options.setMemoryPatternOptimization(false); // A plan for each size of input that it sees: memory would grow.
      session = environment.createSession(bundle.resolve("onnx/text.onnx").toString(), options);
    }
    limit = charsThatCount(session.getMetadata().getCustomMetadata());
  }

  /** Two Java chars for each of the characters that the graph reads of a text. */
  private static int charsThatCount(Map<String, String> metadata) {
    var tokens = metadata.get("max_length");
    if (tokens.equals("null")) {
      return Integer.MAX_VALUE; // A text has no limit.
    }
    var limit = 2 * Long.parseLong(tokens) * Long.parseLong(metadata.get("median_token_length"));
    return (int) Math.min(limit, Integer.MAX_VALUE);
  }

  /** One vector for each text. */
  public float[][] embed(List<String> texts) throws OrtException {
    try (var result = run(texts, Set.of("sentence_embedding"))) {
      return (float[][]) result.get(0).getValue();
    }
  }

  /** Gives the graph the texts' UTF-8 bytes, end to end, and where each text starts. */
  OrtSession.Result run(List<String> texts, Set<String> outputs) throws OrtException {
    var bytes = new ByteArrayOutputStream();
    var offsets = new long[texts.size()];
    for (int i = 0; i < offsets.length; i++) {
      offsets[i] = bytes.size();
      var text = texts.get(i);
      var start = text.substring(0, Math.min(text.length(), limit));
      bytes.writeBytes(start.getBytes(StandardCharsets.UTF_8));
    }
    var utf8 = ByteBuffer.allocateDirect(bytes.size()).order(ByteOrder.nativeOrder());
    utf8.put(bytes.toByteArray()).flip();
    var shape = new long[] {utf8.remaining()};
    try (var first = OnnxTensor.createTensor(environment, utf8, shape, OnnxJavaType.UINT8);
        var second = OnnxTensor.createTensor(environment, LongBuffer.wrap(offsets), new long[] {offsets.length})) {
      return session.run(Map.of("utf8", first, "offsets", second), outputs);
    }
  }

  @Override
  public void close() throws OrtException {
    session.close();
  }

  public static void main(String[] arguments) throws OrtException {
    if (arguments.length < 2) {
      System.err.println("usage: Embed BUNDLE TEXT ...");
      System.exit(2);
    }
    if (System.getenv("ORT_DISABLE_TELEMETRY") == null) {
      System.err.println("onnxruntime's telemetry is on: set ORT_DISABLE_TELEMETRY=1");
    }
    var texts = List.of(arguments).subList(1, arguments.length);
    try (var embed = new Embed(Path.of(arguments[0]))) {
      var vectors = embed.embed(texts);
      for (int i = 0; i < vectors.length; i++) {
        var v = vectors[i];
        System.out.printf(
            Locale.ROOT,
            "%.4f %.4f %.4f %.4f ... (%d dimensions)  %s%n",
            v[0], v[1], v[2], v[3], v.length, texts.get(i));
      }
    }
  }
}
