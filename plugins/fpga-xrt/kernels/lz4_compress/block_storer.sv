// SPDX-License-Identifier: Apache-2.0
//
// Writes words over AXI4 in bursts of up to 128 bytes that end where a multiple of that does, and then the record of the
// run, once the other writes were answered: who sees the record sees the block.
module block_storer (
    input logic clk,
    input logic reset,
    input logic begin_block,
    input logic [63:0] address,  // a multiple of 8

    input logic [6:0] available,  // words
    input logic all_available,  // no more will come
    output logic take,
    input logic [63:0] word,
    input logic [7:0] word_strobe,

    input logic [63:0] record_address,  // a multiple of 16
    input logic [127:0] record,  // holds from all_available on, but for `failed`
    output logic failed,
    output logic finished,  // one cycle

    output logic m_axi_awvalid,
    input logic m_axi_awready,
    output logic [63:0] m_axi_awaddr,
    output logic [7:0] m_axi_awlen,
    output logic m_axi_wvalid,
    input logic m_axi_wready,
    output logic [63:0] m_axi_wdata,
    output logic [7:0] m_axi_wstrb,
    output logic m_axi_wlast,
    input logic m_axi_bvalid,
    output logic m_axi_bready,
    input logic [1:0] m_axi_bresp
);
  localparam logic [6:0] BurstWords = 7'd16;

  typedef enum logic [2:0] {
    Idle,
    Collect,
    Address,
    Data,
    RecordAddress,
    RecordData,
    RecordWait
  } state_e;
  state_e state;

  logic [63:0] next_address;
  logic [6:0] burst;
  logic [6:0] beats_left;
  logic [13:0] unanswered;

  wire [6:0] to_boundary = BurstWords - {3'b0, next_address[6:3]};
  wire aw = m_axi_awvalid && m_axi_awready;
  wire b = m_axi_bvalid && m_axi_bready;

  assign m_axi_bready = 1'b1;
  assign m_axi_awvalid = state == Address || state == RecordAddress;
  assign m_axi_awaddr = state == RecordAddress ? record_address : next_address;
  assign m_axi_awlen = state == RecordAddress ? 8'd1 : 8'(burst - 7'd1);
  assign m_axi_wvalid = state == Data || state == RecordData;
  assign m_axi_wlast = beats_left == 7'd1;
  assign m_axi_wstrb = state == RecordData ? 8'hff : word_strobe;
  assign take = state == Data && m_axi_wready;
  assign finished = state == RecordWait && b;

  always_comb begin
    m_axi_wdata = word;
    if (state == RecordData) m_axi_wdata = beats_left == 7'd2 ? record[63:0] : record[127:64];
  end

  always_ff @(posedge clk) begin
    if (reset) begin
      state <= Idle;
      next_address <= '0;
      burst <= '0;
      beats_left <= '0;
      unanswered <= '0;
      failed <= 1'b0;
    end else begin
      unanswered <= unanswered + {13'b0, aw} - {13'b0, b};
      if (b && m_axi_bresp != 2'b00) failed <= 1'b1;
      case (state)
        Idle:
        if (begin_block) begin
          state <= Collect;
          next_address <= address;
          failed <= 1'b0;
        end
        Collect:
        if (available >= to_boundary) begin
          state <= Address;
          burst <= to_boundary;
        end else if (all_available && available != '0) begin
          state <= Address;
          burst <= available;
        end else if (all_available && unanswered == '0) state <= RecordAddress;
        Address:
        if (m_axi_awready) begin
          state <= Data;
          beats_left <= burst;
          next_address <= next_address + {54'b0, burst, 3'b0};
        end
        Data:
        if (m_axi_wready) begin
          beats_left <= beats_left - 7'd1;
          if (m_axi_wlast) state <= Collect;
        end
        RecordAddress:
        if (m_axi_awready) begin
          state <= RecordData;
          beats_left <= 7'd2;
        end
        RecordData:
        if (m_axi_wready) begin
          beats_left <= beats_left - 7'd1;
          if (m_axi_wlast) state <= RecordWait;
        end
        RecordWait: if (b) state <= Idle;
        default: state <= Idle;
      endcase
    end
  end
endmodule
