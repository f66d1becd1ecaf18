// SPDX-License-Identifier: Apache-2.0
//
// A block of 64 KiB that is written by words and read by windows of 8 bytes at any byte. Even and odd words lie in two
// banks, so that both words that a window touches are read at once. What was read comes one cycle later. A window that
// passes the end goes on at the beginning: who reads there does not look at it.
module window_ram (
    input logic clk,
    input logic write,
    input logic [12:0] write_word,
    input logic [63:0] write_data,
    input logic read,  // else the window stays
    input logic [15:0] read_byte,
    output logic [63:0] window
);
  localparam int unsigned BankWords = 4096;

  logic [63:0] even_bank[BankWords];
  logic [63:0] odd_bank[BankWords];
  logic [63:0] even_data, odd_data;
  logic [3:0] low;

  wire [11:0] odd_row = read_byte[15:4];
  wire [11:0] even_row = read_byte[15:4] + {11'b0, read_byte[3]};

  always_ff @(posedge clk) begin
    if (write && !write_word[0]) even_bank[write_word[12:1]] <= write_data;
    if (write && write_word[0]) odd_bank[write_word[12:1]] <= write_data;
    if (read) begin
      even_data <= even_bank[even_row];
      odd_data <= odd_bank[odd_row];
      low <= read_byte[3:0];
    end
  end

  wire [127:0] both = low[3] ? {even_data, odd_data} : {odd_data, even_data};
  assign window = 64'(both >> {low[2:0], 3'b0});
endmodule
