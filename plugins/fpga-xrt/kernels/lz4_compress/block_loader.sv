// SPDX-License-Identifier: Apache-2.0
//
// Reads a block over AXI4 in bursts that end where a KiB does, and so pass no boundary of 4 KiB. It asks for all of the
// block at once, and takes each word as it comes: who works on the block goes by `loaded`.
module block_loader (
    input logic clk,
    input logic reset,
    input logic begin_block,
    input logic [63:0] address,  // a multiple of 8
    input logic [16:0] bytes,

    output logic m_axi_arvalid,
    input logic m_axi_arready,
    output logic [63:0] m_axi_araddr,
    output logic [7:0] m_axi_arlen,
    input logic m_axi_rvalid,
    output logic m_axi_rready,
    input logic [63:0] m_axi_rdata,
    input logic [1:0] m_axi_rresp,

    output logic write,
    output logic [12:0] write_word,
    output logic [63:0] write_data,
    output logic [16:0] loaded,  // bytes that are there, in whole words
    output logic failed
);
  localparam logic [13:0] BurstWords = 14'd128;

  logic [63:0] next_address;
  logic [13:0] words_unasked;
  logic [13:0] words_loaded;

  wire [13:0] to_boundary = BurstWords - {7'b0, next_address[9:3]};
  wire [13:0] burst = words_unasked < to_boundary ? words_unasked : to_boundary;

  assign m_axi_rready = 1'b1;
  assign write = m_axi_rvalid;
  assign write_word = words_loaded[12:0];
  assign write_data = m_axi_rdata;
  assign loaded = {words_loaded, 3'b0};

  always_ff @(posedge clk) begin
    if (reset) begin
      m_axi_arvalid <= 1'b0;
      m_axi_araddr <= '0;
      m_axi_arlen <= '0;
      next_address <= '0;
      words_unasked <= '0;
      words_loaded <= '0;
      failed <= 1'b0;
    end else if (begin_block) begin
      next_address <= address;
      words_unasked <= 14'((bytes + 17'd7) >> 3);
      words_loaded <= '0;
      failed <= 1'b0;
    end else begin
      if (m_axi_arready) m_axi_arvalid <= 1'b0;
      if (words_unasked != '0 && (!m_axi_arvalid || m_axi_arready)) begin
        m_axi_arvalid <= 1'b1;
        m_axi_araddr <= next_address;
        m_axi_arlen <= 8'(burst - 14'd1);
        next_address <= next_address + {47'b0, burst, 3'b0};
        words_unasked <= words_unasked - burst;
      end
      if (m_axi_rvalid) begin
        words_loaded <= words_loaded + 14'd1;
        if (m_axi_rresp != 2'b00) failed <= 1'b1;
      end
    end
  end
endmodule
