// SPDX-License-Identifier: Apache-2.0
//
// Makes words of 8 bytes of pieces of 0 to 8 bytes. Words that do not fit in what the caller has room for are dropped,
// and counted: `total` is what the whole takes.
module word_packer (
    input logic clk,
    input logic reset,
    input logic begin_block,
    input logic [31:0] total_max,

    output logic room,  // for a piece
    input logic [3:0] count,
    input logic [63:0] data,
    input logic finish,  // no piece comes any more; held

    input  logic word_room,   // for two words
    output logic push,
    output logic [63:0] word,
    output logic [7:0] strobe,
    output logic [31:0] total,
    output logic finished
);
  logic [63:0] held;
  logic [2:0] held_count;
  logic flushed;

  wire [127:0] joined = {64'b0, held} | ({64'b0, data} << {held_count, 3'b0});
  // A piece may come with more bytes than count.
  wire [4:0] joined_count = {2'b0, held_count} + {1'b0, count};
  wire full = joined_count >= 5'd8;
  wire [31:0] total_after = total + {28'b0, count};
  wire [31:0] whole_words = {total_after[31:3], 3'b0};
  wire flush = finish && !flushed && word_room && count == '0;

  assign room = word_room;
  assign finished = flushed;

  function automatic logic [63:0] kept(input logic [63:0] bytes, input logic [2:0] keep);
    return bytes & ~(~64'b0 << {keep, 3'b0});
  endfunction

  always_ff @(posedge clk) begin
    push <= 1'b0;
    if (reset) begin
      held <= '0;
      held_count <= '0;
      total <= '0;
      flushed <= 1'b0;
      word <= '0;
      strobe <= '0;
    end else if (begin_block) begin
      held <= '0;
      held_count <= '0;
      total <= '0;
      flushed <= 1'b0;
    end else if (count != '0) begin
      total <= total_after;
      held_count <= joined_count[2:0];
      held <= full ? kept(joined[127:64], joined_count[2:0]) : kept(joined[63:0], joined_count[2:0]);
      push <= full && whole_words <= total_max;
      word <= joined[63:0];
      strobe <= '1;
    end else if (flush) begin
      flushed <= 1'b1;
      push <= held_count != '0 && total <= total_max;
      word <= held;
      strobe <= ~(8'hff << held_count);
    end
  end
endmodule
