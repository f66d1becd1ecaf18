// SPDX-License-Identifier: Apache-2.0
//
// A queue whose first entry shows before it is taken.
module stream_fifo #(
    parameter int unsigned Width = 8,
    parameter int unsigned DepthBits = 4
) (
    input logic clk,
    input logic reset,
    input logic push,
    input logic [Width-1:0] in,
    input logic pop,
    output logic [Width-1:0] out,
    output logic [DepthBits:0] count
);
  logic [Width-1:0] entries[2**DepthBits];
  logic [DepthBits-1:0] first, free;

  assign out = entries[first];

  always_ff @(posedge clk) begin
    if (push) entries[free] <= in;
    if (reset) begin
      first <= '0;
      free  <= '0;
      count <= '0;
    end else begin
      if (push) free <= free + 1'b1;
      if (pop) first <= first + 1'b1;
      count <= count + (DepthBits + 1)'(push) - (DepthBits + 1)'(pop);
    end
  end
endmodule
